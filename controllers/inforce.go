package controllers

import "sync"

// inForce is what a replica decides by, as it reports it. Its zero value says that there is nothing yet. All methods may be called
// at the same time.
type inForce struct {
	mu      sync.Mutex
	digest  string
	through string
	changed chan struct{}
}

// set says that a snapshot with this digest, built from what the API server had through this resourceVersion, is in force.
// On nil it does nothing.
func (f *inForce) set(digest, through string) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.digest == digest && f.through == through {
		return
	}
	f.digest, f.through = digest, through
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// get returns what is in force, and a channel that is closed when that is no longer so.
func (f *inForce) get() (digest, through string, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.digest, f.through, f.changed
}
