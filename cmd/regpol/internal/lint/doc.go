// Package lint is the verb lint: it lists what is wrong with policies.
package lint
