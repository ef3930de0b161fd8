// Package replica reports in a Lease which rules this replica has in force. It also fences the replica: the replica
// must not answer calls while its rules may be outdated.
//
// On the leader, package fleet reads the Leases of all replicas.
package replica
