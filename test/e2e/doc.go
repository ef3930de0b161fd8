// Package e2e holds tests only: the operator's program on a real API server, under the rights that config/rbac gives it,
// spoken to as Okta does.
package e2e
