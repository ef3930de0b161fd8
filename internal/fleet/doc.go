// Package fleet tells when a generation of a policy is in force on every replica.
//
// Each [Replica] reports in a Lease of its own up to which version its rules reflect each namespace. The leader reads these
// Leases through an [Observer], and its [Rollout] compares them with the version at which it first saw a generation. A
// generation is in force on a replica whose rules are as new as that version in the policy's own namespace. No decision
// depends on any of this.
package fleet
