package fleet

import (
	"fmt"
	"io"
	"sync"
	"time"

	"registrationpolicy.dev/operator/test/chaos/history"
)

// Timeline is the clock of a run, and its log.
type Timeline struct {
	begin time.Time

	mu    sync.Mutex
	notes []note
}

type note struct {
	at   history.Moment
	text string
}

// NewTimeline returns a timeline that begins now.
func NewTimeline() *Timeline { return &Timeline{begin: time.Now()} }

// Now returns the time since the beginning.
func (t *Timeline) Now() history.Moment { return time.Since(t.begin) }

// Note adds a line.
func (t *Timeline) Note(format string, arguments ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, note{t.Now(), fmt.Sprintf(format, arguments...)})
}

// Print writes the lines between two moments.
func (t *Timeline) Print(to io.Writer, from, until history.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.notes {
		if n.at >= from && n.at <= until {
			fmt.Fprintf(to, "  %9.3fs  %s\n", n.at.Seconds(), n.text)
		}
	}
}
