// Package rules is the pure core of the product: it says what a policy means and decides one call from a set of policies.
//
// Data flows one way: [Policy] values → [Compile] → an immutable [Snapshot] → [Store.Publish]; a [Call] → [Store.Load] →
// [Snapshot.Decide] → a [Decision]. Nothing here logs, counts, waits, or knows of Kubernetes, HTTP or Okta's format.
package rules
