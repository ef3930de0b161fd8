// Package rules is the pure core of the product: it compiles policies, and decides calls by them.
//
// Data flows one way: [Policy] values → [Compile] → an immutable [Snapshot] → [Store.Publish]; a [Call] → [Store.Load]
// → [Snapshot.Decide] → a [Decision]. The package does no I/O, logs nothing, and does not know Kubernetes, HTTP or
// Okta's format.
//
// Addresses, entries and lists are implemented in packages below internal; this package exports what callers need of
// them.
package rules
