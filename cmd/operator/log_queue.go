package main

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/internal/loglevel"
)

const (
	// maxQueuedLines is how many lines wait for whoever takes the log: of some 500 bytes each, so that all take 4 MB, and what a
	// busy replica says in a quarter of a second.
	maxQueuedLines = 8192
	// flushTime is how long the end of the process waits for the last lines to be taken.
	flushTime = time.Second
)

// logQueue writes what is logged in the background. Whoever takes the log off the process may be slow, or stand still, as a container
// runtime does whose disk is full: a call must not wait for that. Lines that do not fit are left out, counted, and spoken of once
// lines are taken again.
type logQueue struct {
	to      io.Writer
	waiting chan queuedLine
	leftOut prometheus.Counter
	unsaid  atomic.Int64 // lines left out that no line has spoken of
	logger  logr.Logger  // which writes to the same, without waiting here
}

// queuedLine is a line, or a mark in their order.
type queuedLine struct {
	text    []byte
	reached chan struct{} // of a mark
}

// newLogQueue writes to the writer until the process ends. It speaks of lines left out through a logger of that writer's own.
func newLogQueue(to io.Writer, leftOut prometheus.Counter, logger logr.Logger) *logQueue {
	q := &logQueue{to: to, waiting: make(chan queuedLine, maxQueuedLines), leftOut: leftOut, logger: logger}
	go q.write()
	return q
}

// newLeftOutMetric returns registration_policy_log_lines_left_out_total.
func newLeftOutMetric() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "registration_policy_log_lines_left_out_total", Help: "Log lines left out because nobody took the log.",
	})
}

func (q *logQueue) write() {
	for line := range q.waiting {
		if line.reached != nil {
			close(line.reached)
			continue
		}
		_, _ = q.to.Write(line.text) // nowhere to tell that the log is gone
		if n := q.unsaid.Swap(0); n > 0 {
			loglevel.Warn(q.logger, "Log lines left out", "lines", n)
		}
	}
}

// Write takes a line, and never waits.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.waiting <- queuedLine{text: bytes.Clone(line)}:
	default:
		q.leftOut.Inc()
		q.unsaid.Add(1)
	}
	return len(line), nil
}

// flush waits until all lines up to now are written, or for flushTime.
func (q *logQueue) flush() {
	late := time.After(flushTime)
	mark := queuedLine{reached: make(chan struct{})}
	select {
	case q.waiting <- mark:
	case <-late:
		return
	}
	select {
	case <-mark.reached:
	case <-late:
	}
}
