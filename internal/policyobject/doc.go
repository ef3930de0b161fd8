// Package policyobject converts a stored policy object to a [rules.Policy]. If the object does not match the schema,
// the policy has the reason in NotUnderstood.
package policyobject
