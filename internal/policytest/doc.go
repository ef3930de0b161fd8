// Package policytest reads the files of `regpol test`: cases, each with a call or a set of calls and what is expected of
// the decision.
package policytest
