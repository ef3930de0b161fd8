package main

import (
	"bytes"
	"io"
	"sync"
)

// startBuffer holds the log until the operator has started. If the start fails, the user sees only the one line with
// the error.
type startBuffer struct {
	mu  sync.Mutex
	to  io.Writer
	buf *bytes.Buffer // nil after release
}

func newStartBuffer() *startBuffer {
	return &startBuffer{buf: &bytes.Buffer{}}
}

// Write buffers p before release, and writes it through after.
func (w *startBuffer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf != nil {
		return w.buf.Write(p)
	}
	return w.to.Write(p)
}

// release writes the buffer to a writer, to which later writes then go directly.
func (w *startBuffer) release(to io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
	_, _ = w.buf.WriteTo(w.to) // an error of the log cannot be logged
	w.buf = nil
}
