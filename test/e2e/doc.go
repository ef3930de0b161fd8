// Package e2e has only tests: they run the operator's program on a real API server, with the rights that config/rbac
// gives it, and call it as Okta does.
package e2e
