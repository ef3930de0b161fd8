package rules

import (
	"errors"
	"sync/atomic"
)

// ErrNotLoaded means that no snapshot was published yet. That differs from a snapshot without policies.
var ErrNotLoaded = errors.New("no rules loaded yet")

// Store holds the snapshot in force. It is the only link between the controllers and the hook server.
// Its zero value holds no snapshot. It is safe for concurrent use.
type Store struct {
	snapshot atomic.Pointer[Snapshot]
}

// Publish puts a snapshot in force. A call of Load that begins after Publish has returned gets this snapshot or a later
// one.
func (s *Store) Publish(snapshot *Snapshot) {
	s.snapshot.Store(snapshot)
}

// Load returns the snapshot in force. Its only error is ErrNotLoaded.
func (s *Store) Load() (*Snapshot, error) {
	snapshot := s.snapshot.Load()
	if snapshot == nil {
		return nil, ErrNotLoaded
	}
	return snapshot, nil
}
