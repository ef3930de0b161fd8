package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

const (
	// barDelay is how long a run may last before a bar appears, and barInterval is the time between two of its states.
	barDelay    = time.Second
	barInterval = 200 * time.Millisecond
)

// Bar shows on a terminal how much of the input was read. A nil bar shows nothing.
type Bar struct {
	w     io.Writer
	read  atomic.Int64
	ended chan struct{}
	done  sync.WaitGroup

	mu   sync.Mutex
	name string // of what is being read
	size int64  // its size in bytes, or 0 if it is not known
}

// StartBar shows a bar on standard error, if that is a terminal, until stop is called.
func StartBar(s console.Streams) *Bar {
	file, isFile := s.Err.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return newBar(file)
}

func newBar(w io.Writer) *Bar {
	b := &Bar{w: w, ended: make(chan struct{})}
	b.done.Go(b.run)
	return b
}

// Begin sets the name that the bar shows: that of a file, or of standard input.
func (b *Bar) Begin(name string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.name, b.size = name, 0
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		b.size = info.Size()
	}
	b.read.Store(0)
}

// Add adds bytes that were read.
func (b *Bar) Add(bytes int) {
	if b != nil {
		b.read.Add(int64(bytes))
	}
}

// Stop removes the bar. It must be called once.
func (b *Bar) Stop() {
	if b == nil {
		return
	}
	close(b.ended)
	b.done.Wait()
}

// clearLine moves to the begin of the line and clears it (ECMA-48 8.3.41, EL).
const clearLine = "\r\x1b[K"

func (b *Bar) run() {
	wait, shown := time.NewTimer(barDelay), false
	defer wait.Stop()
	for {
		select {
		case <-b.ended:
			if shown {
				_, _ = fmt.Fprint(b.w, clearLine) // a bar is optional
			}
			return
		case <-wait.C:
			_, _ = fmt.Fprint(b.w, clearLine+b.text())
			shown = true
			wait.Reset(barInterval)
		}
	}
}

// barWidth is the length of a full bar in characters.
const barWidth = 30

func (b *Bar) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	const megabyte = 1_000_000
	read := b.read.Load()
	if b.size == 0 {
		return fmt.Sprintf("%s: %d MB", b.name, read/megabyte)
	}
	full := int(min(read, b.size) * barWidth / b.size)
	return fmt.Sprintf("%s: [%-*s] %d of %d MB", b.name, barWidth, "##############################"[:full], read/megabyte, b.size/megabyte)
}
