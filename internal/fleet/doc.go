// Package fleet determines when a generation of a policy is in force on every replica.
//
// Each [Replica] reports in its own Lease, for each namespace, the resourceVersion up to which its rules are current.
// The leader reads these Leases through an [Observer], and its [Rollout] compares them with the version at which the
// leader first saw a generation. A generation is in force on a replica whose rules have reached that version in the
// policy's namespace. Except for the fence of a replica, no decision depends on this.
package fleet
