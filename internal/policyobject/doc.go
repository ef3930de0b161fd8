// Package policyobject turns a stored object into a [rules.Policy], or says why it is not understood.
package policyobject
