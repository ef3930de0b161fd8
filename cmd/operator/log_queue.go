package main

import (
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/internal/loglevel"
)

const (
	// maxQueuedBytes is the capacity of the queue. It holds the lines of a busy replica for a quarter of a second.
	maxQueuedBytes = 4 << 20
	// writeInterval is the minimum time between two writes. The lines that arrive in that time are written together: a
	// system call for each line would take more CPU time than deciding the call. A line after a pause is written at once.
	writeInterval = time.Millisecond
	// maxKeptBuffer is the largest capacity in bytes of a buffer that is used again for later lines. A larger buffer is
	// released: it has grown only because the reader of standard error was slow for a while.
	maxKeptBuffer = 256 << 10
	// flushTimeout is how long the process waits for the last lines to be written when it ends.
	flushTimeout = time.Second
)

// logQueue writes log lines in the background, so that no call waits for the log. The reader of standard error can be
// slow or can stop reading, for example a container runtime whose disk is full. Lines that do not fit are dropped and
// counted, and their number is logged with the next lines that are written.
type logQueue struct {
	to      io.Writer
	dropped prometheus.Counter
	logger  logr.Logger   // writes to the same writer, but not through the queue
	wake    chan struct{} // holds an element while lines are pending

	mu         sync.Mutex
	pending    []byte // lines to write
	spare      []byte // empty buffer for the next pending lines; nil if there is none
	queued     int    // bytes of pending, and of the lines being written
	unreported int    // dropped lines that have not been logged yet
	flushes    []chan struct{}
}

// newLogQueue returns a queue that writes to a writer until the process ends. It logs the number of dropped lines to
// logger, which must write to the same writer directly: through the queue, that line could be dropped too.
func newLogQueue(to io.Writer, dropped prometheus.Counter, logger logr.Logger) *logQueue {
	q := &logQueue{to: to, dropped: dropped, logger: logger, wake: make(chan struct{}, 1)}
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
	for range q.wake {
		lines, flushes := q.take()
		_, _ = q.to.Write(lines) // an error of the log cannot be logged
		if n := q.written(lines); n > 0 {
			loglevel.Warn(q.logger, "Log lines left out", "lines", n)
		}
		for _, flushed := range flushes {
			close(flushed)
		}
		time.Sleep(writeInterval)
	}
}

// take returns the pending lines, and the flushes that wait for them.
func (q *logQueue) take() (lines []byte, flushes []chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, flushes = q.pending, q.flushes
	q.pending, q.spare, q.flushes = q.spare, nil, nil
	return lines, flushes
}

// written subtracts the size of the written lines from q.queued, so that the queue accepts new lines. It returns the
// number of lines dropped since its last call.
func (q *logQueue) written(lines []byte) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued -= len(lines)
	if cap(lines) <= maxKeptBuffer {
		q.spare = lines[:0]
	}
	dropped, q.unreported = q.unreported, 0
	return dropped
}

// Write queues a line or drops it. It never waits.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	fits := q.queued+len(line) <= maxQueuedBytes
	if fits {
		q.pending = append(q.pending, line...)
		q.queued += len(line)
	} else {
		q.unreported++
	}
	q.mu.Unlock()
	if fits {
		q.wakeUp()
	} else {
		q.dropped.Inc()
	}
	return len(line), nil
}

// wakeUp makes write take what is pending. It never waits.
func (q *logQueue) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default: // write has not taken the earlier lines yet
	}
}

// flush waits until all lines queued so far are written, at most flushTimeout.
func (q *logQueue) flush() {
	flushed := make(chan struct{})
	q.mu.Lock()
	q.flushes = append(q.flushes, flushed)
	q.mu.Unlock()
	q.wakeUp()
	select {
	case <-flushed:
	case <-time.After(flushTimeout):
	}
}
