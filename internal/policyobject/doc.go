// Package policyobject converts a stored object to a [rules.Policy], and says why if the object is not understood.
package policyobject
