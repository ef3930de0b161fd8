package rules

import (
	"errors"
	"sync/atomic"
)

// ErrNotLoaded says that no snapshot was published yet. It is not the same as a snapshot without policies.
var ErrNotLoaded = errors.New("no rules loaded yet")

// Store holds the snapshot in force. It is the only thing that the controllers and the hook server share.
// Its zero value holds none. All methods may be called at the same time.
type Store struct {
	snapshot atomic.Pointer[Snapshot]
}

// Publish puts s in force for every Load that begins after it returns.
func (s *Store) Publish(snapshot *Snapshot) {
	s.snapshot.Store(snapshot)
}

// Load returns the snapshot in force, or ErrNotLoaded.
func (s *Store) Load() (*Snapshot, error) {
	snapshot := s.snapshot.Load()
	if snapshot == nil {
		return nil, ErrNotLoaded
	}
	return snapshot, nil
}
