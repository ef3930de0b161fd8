package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
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

// end ends the goroutine of a queue in a bubble.
func end(queue *logQueue) {
	close(queue.wake)
	time.Sleep(2 * writeInterval)
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
		defer end(queue)
		buffered.release(queue)
		synctest.Wait() // the first line is being written

		const beyond = 10
		fitted := -beyond
		for n := 0; testutil.ToFloat64(dropped) < beyond; n++ {
			logger.Info("line", "n", n)
			fitted++
		}
		if queue.queued > maxQueuedBytes || queue.queued < maxQueuedBytes-100 {
			t.Errorf("%d bytes are queued, want up to a line less than %d", queue.queued, maxQueuedBytes)
		}
		before := time.Now()
		queue.flush() // the end of the process does not hang
		if waited := time.Since(before); waited != flushTimeout {
			t.Errorf("the end waits %s, want %s", waited, flushTimeout) // in the bubble's own time
		}

		close(to.opened)
		queue.flush()
		lines := strings.Split(strings.TrimSpace(to.String()), "\n")
		if want := fitted + 2; len(lines) != want {
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
	defer close(queue.wake)
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

// countingWriter keeps the text of each Write.
type countingWriter struct {
	mu    sync.Mutex
	texts []string
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, string(p))
	return len(p), nil
}

func (w *countingWriter) writes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.texts
}

func TestLinesInShortSuccessionAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &countingWriter{}
		queue := newLogQueue(to, newDroppedLinesMetric(), logr.Discard())
		defer end(queue)
		say := func(lines ...string) {
			for _, line := range lines {
				if _, err := io.WriteString(queue, line); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		say("a\n") // at once
		if want := []string{"a\n"}; !slices.Equal(to.writes(), want) {
			t.Errorf("%q, want %q", to.writes(), want)
		}
		say("b\n", "c\n")
		time.Sleep(writeInterval / 2)
		say("d\n")
		if len(to.writes()) != 1 {
			t.Errorf("%q, want the others later", to.writes())
		}
		time.Sleep(2 * writeInterval)
		say("e\n") // at once, after a pause
		if want := []string{"a\n", "b\nc\nd\n", "e\n"}; !slices.Equal(to.writes(), want) {
			t.Errorf("%q, want %q", to.writes(), want)
		}
		queue.flush()
	})
}
