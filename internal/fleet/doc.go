// Package fleet tells the leader on which replicas a generation of a policy is in force, and writes that into the
// policy's condition Ready.
//
// Each replica reports in its own Lease (package replica), for each namespace, the resourceVersion up to which its
// rules are current. An [Observer] reads these Leases. A [Rollout] compares them with the resourceVersion that the
// policy had when the leader first saw the generation: the generation is in force on every replica whose rules have
// reached that version in the policy's namespace. No decision depends on this.
package fleet
