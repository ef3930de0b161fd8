// Package testrun is the verb test: it runs the tests that stand beside policies.
package testrun
