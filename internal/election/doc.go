// Package election elects one replica as the leader. Losing the lease never ends the process.
package election
