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
	// maxQueuedLines is the capacity of the queue. With some 500 bytes a line it takes 4 MB, and holds the lines of a
	// busy replica for a quarter of a second.
	maxQueuedLines = 8192
	// flushTimeout is how long the process waits for the last lines to be written when it ends.
	flushTimeout = time.Second
)

// logQueue writes log lines in the background, so that no call waits for the log. The reader of standard error can be
// slow or can stop reading, for example a container runtime whose disk is full. Lines that do not fit into the queue are
// dropped and counted, and their number is logged with the next line that is written.
type logQueue struct {
	to         io.Writer
	lines      chan queuedLine
	dropped    prometheus.Counter
	unreported atomic.Int64 // the number of dropped lines that no log line has reported yet
	logger     logr.Logger  // writes to the same writer, but not through the queue
}

// queuedLine is a log line or a marker for flush.
type queuedLine struct {
	text    []byte
	reached chan struct{} // nil unless it is a marker; closed when all earlier lines are written
}

// newLogQueue returns a queue that writes to a writer until the process ends. It logs the number of dropped lines to
// logger, which must write to the same writer directly: through the queue, that line could be dropped too.
func newLogQueue(to io.Writer, dropped prometheus.Counter, logger logr.Logger) *logQueue {
	q := &logQueue{to: to, lines: make(chan queuedLine, maxQueuedLines), dropped: dropped, logger: logger}
	go q.write()
	return q
}

// newDroppedLinesMetric returns registration_policy_log_lines_left_out_total.
func newDroppedLinesMetric() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "registration_policy_log_lines_left_out_total", Help: "Log lines dropped because standard error was not read in time.",
	})
}

func (q *logQueue) write() {
	for line := range q.lines {
		if line.reached != nil {
			close(line.reached)
			continue
		}
		_, _ = q.to.Write(line.text) // an error of the log cannot be logged
		if n := q.unreported.Swap(0); n > 0 {
			loglevel.Warn(q.logger, "Log lines left out", "lines", n)
		}
	}
}

// Write queues a line or drops it. It never waits.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.lines <- queuedLine{text: bytes.Clone(line)}:
	default:
		q.dropped.Inc()
		q.unreported.Add(1)
	}
	return len(line), nil
}

// flush waits until all lines queued so far are written, at most flushTimeout.
func (q *logQueue) flush() {
	timeout := time.After(flushTimeout)
	marker := queuedLine{reached: make(chan struct{})}
	select {
	case q.lines <- marker:
	case <-timeout:
		return
	}
	select {
	case <-marker.reached:
	case <-timeout:
	}
}
