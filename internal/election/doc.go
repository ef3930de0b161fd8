// Package election elects one replica as the leader. A leader that loses its lease stops leading, but its process
// continues.
package election
