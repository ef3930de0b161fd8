package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// stuckWriter blocks until it is opened.
type stuckWriter struct {
	opened chan struct{}
	lockedBuffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.opened
	return w.lockedBuffer.Write(p)
}

func TestALogThatNobodyTakesHoldsNobodyUpAndSaysAfterwardsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &stuckWriter{opened: make(chan struct{})}
		dropped := newDroppedLinesMetric()
		buffered := newStartBuffer()
		how := &options{logFormat: "json", logLevel: "info"}
		logger := newLogger(how, buffered)
		logger.Info("line", "n", -1) // before the release
		queue := newLogQueue(to, dropped, logr.FromSlogHandler(newLogHandler(how, to)))
		defer close(queue.lines)
		buffered.release(queue)
		synctest.Wait() // the first line is being written

		const beyond = 10
		for n := range maxQueuedLines + beyond {
			logger.Info("line", "n", n)
		}
		if got := testutil.ToFloat64(dropped); got != beyond {
			t.Errorf("%v lines left out, want %d", got, beyond)
		}
		before := time.Now()
		queue.flush() // the end of the process does not hang
		if waited := time.Since(before); waited != flushTimeout {
			t.Errorf("the end waits %s, want %s", waited, flushTimeout) // in the bubble's own time
		}

		close(to.opened)
		queue.flush()
		lines := strings.Split(strings.TrimSpace(to.String()), "\n")
		if want := maxQueuedLines + 2; len(lines) != want {
			t.Fatalf("%d lines, want %d", len(lines), want)
		}
		missing := fmt.Sprintf(`"msg":"Log lines left out","lines":%d}`, beyond)
		if !strings.HasSuffix(lines[1], missing) {
			t.Errorf("the first line that was taken again is followed by %s, want %s", lines[1], missing)
		}
		for i, line := range slices.Delete(lines, 1, 2) {
			if want := fmt.Sprintf(`"n":%d}`, i-1); !strings.HasSuffix(line, want) {
				t.Fatalf("line %d is %s, want %s", i, line, want)
			}
		}
	})
}

func TestTheLastLinesAreWrittenBeforeTheEnd(t *testing.T) {
	to := &lockedBuffer{}
	queue := newLogQueue(to, newDroppedLinesMetric(), logr.Discard())
	defer close(queue.lines)
	for n := range 100 {
		if _, err := io.WriteString(queue, fmt.Sprintln(n)); err != nil {
			t.Fatal(err)
		}
	}
	queue.flush()
	if got := strings.Count(to.String(), "\n"); got != 100 {
		t.Errorf("%d lines, want 100", got)
	}
}
