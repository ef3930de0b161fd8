// Package rules is the pure core of the product: it compiles policies, and decides calls by them.
//
// Data flows one way: [Policy] values → [Compile] → an immutable [Snapshot] → [Store.Publish]; a [Call] → [Store.Load]
// → [Snapshot.Decide] → a [Decision]. The package does no I/O, logs nothing, and does not know Kubernetes, HTTP or
// Okta's format.
//
// Words of this package:
//
//   - An entry is one item of a policy, such as "*.acme.com" in spec.allow.domains.
//   - A reading is a domain or an address that an entry can mean: an internationalized label may have two.
//   - A rule is one reading of an entry, in the compiled form of a policy.
//   - A subject is one of the addresses in a call.
//   - A scope is the appliesTo that one or more policies have in common.
//   - A posting is a rule in the index of a [Snapshot].
//   - A slot is the number by which a posting refers to its policy.
//   - A disputed attribute of a profile has several values, or an invalid one. Okta never gets a value for it.
//
// The packages below internal implement addresses, entries and lists. This package exports the types and functions of
// them that callers need.
package rules
