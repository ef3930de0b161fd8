// Package analysis computes what policies mean for all addresses. [Compare] returns the calls that two sets of policies
// decide differently. [Every] returns the decisions on every address of a set.
//
// The results are complete, not sampled. The entries of the policies divide all addresses into a finite number of
// classes. The same entries match all addresses of a class, so that all are decided alike. The package decides only one
// of them, the witness, with [rules.Snapshot.Decide]. For a call with two addresses, it combines the verdicts of the
// policies on the two classes. It then decides each pair that it reports, as a check.
//
// Data flows one way: policies → the classes of addresses ([space]) and the kinds of calls ([context]) → decisions →
// [Region] values, which describe the addresses with the same decision.
//
// Words of this package, besides those of package rules:
//
//   - A side is one of the sets of policies that are analysed together, such as the old and the new policies.
//   - A matcher is what can match an address: one reading of an entry, or a list.
//   - A state is a set of matchers. It identifies a class: exactly these matchers match each of its addresses.
//   - A region is a set of addresses. Its parts add addresses to the set, or remove some again.
//   - A verdict is what one policy says about one address: it allows or denies the address.
//   - A witness is an address of a class, as an example.
//   - A source is a value of Okta's `source`: the enrolment policy or rule that calls.
package analysis
