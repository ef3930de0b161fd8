package main

import (
	"bytes"
	"io"
	"sync"
)

// startBuffer holds the log until the operator has started. If the start fails, its log is dropped, and standard error
// has only the error.
type startBuffer struct {
	mu  sync.Mutex
	to  io.Writer
	buf *bytes.Buffer // nil after release
}

func newStartBuffer() *startBuffer {
	return &startBuffer{buf: &bytes.Buffer{}}
}

// Write buffers p until release is called. After that it writes p to the writer that release was given.
func (w *startBuffer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf != nil {
		return w.buf.Write(p)
	}
	return w.to.Write(p)
}

// release writes the buffered log to a writer, and directs all later writes there.
func (w *startBuffer) release(to io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
	_, _ = w.buf.WriteTo(w.to) // an error of the log cannot be logged
	w.buf = nil
}
