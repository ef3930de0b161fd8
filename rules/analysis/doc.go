// Package analysis computes what policies mean for all addresses: the calls that two sets of policies decide
// differently ([Compare]), and the decisions on every address of a set ([Every]).
//
// The results are complete, not sampled. The entries of the policies divide all addresses into a finite number of
// classes: two addresses that the same entries match are decided alike. For each class the package decides one address,
// the witness, with [rules.Snapshot.Decide]. Calls with two addresses follow from the verdicts of the policies on each
// class, and each reported pair is decided in the same way.
//
// Data flows one way: policies → [space], the classes of addresses, and [context], the kinds of calls → decisions →
// [Region] values, which describe the addresses that are decided in one way.
package analysis
