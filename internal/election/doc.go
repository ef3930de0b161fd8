// Package election elects one replica as the leader. If the leader loses its lease, its process goes on.
package election
