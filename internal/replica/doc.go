// Package replica reports in a Lease which rules this replica has in force, and stops its answers while they may be
// outdated.
//
// The leader reads the Leases of all replicas in package fleet.
package replica
