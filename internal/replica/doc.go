// Package replica reports in a Lease which rules this replica has in force, and stops its answers while they may be
// outdated: its fence.
//
// On the leader, package fleet reads the Leases of all replicas.
package replica
