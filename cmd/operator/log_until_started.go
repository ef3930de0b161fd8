package main

import (
	"bytes"
	"io"
	"sync"
)

// heldWriter keeps what is logged until it is certain that the operator starts: if it does not, all that its user sees is the
// one line that says why.
type heldWriter struct {
	mu   sync.Mutex
	to   io.Writer
	held *bytes.Buffer // nil once released
}

func holdBack() *heldWriter {
	return &heldWriter{held: &bytes.Buffer{}}
}

// Write writes, now or when released.
func (w *heldWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != nil {
		return w.held.Write(p)
	}
	return w.to.Write(p)
}

// release writes what was held back, and lets everything else through, to another writer.
func (w *heldWriter) release(to io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
	_, _ = w.held.WriteTo(w.to) // nowhere to tell that the log is gone
	w.held = nil
}
