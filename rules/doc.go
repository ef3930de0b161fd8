// Package rules is the pure core of the product: it compiles policies, and decides calls by them.
//
// Data flows one way: [Policy] values → [Compile] → an immutable [Snapshot] → [Store.Publish]; a [Call] → [Store.Load]
// → [Snapshot.Decide] → a [Decision]. The package does no I/O, logs nothing, and does not know Kubernetes, HTTP or
// Okta's format.
//
// Words of this package:
//
//   - An entry is one item of a policy, such as "*.acme.com" in spec.allow.domains. An entry by name stands in the
//     policy itself, not in a list.
//   - A reading is a domain or an address that an entry can mean: an internationalized label may have two.
//   - A subject is one of the addresses in a call.
//   - A scope holds the rules of all policies with the same appliesTo.
//   - A slot is the number of a policy in the index of a [Snapshot]; a posting refers to a policy by it.
//   - A disputed attribute of a profile has several values, or an unusable one. It is never sent.
//
// Addresses, entries and lists are implemented in packages below internal; this package exports what callers need of
// them.
package rules
