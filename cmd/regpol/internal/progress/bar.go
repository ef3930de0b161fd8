package progress

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

const (
	// barDelay is how long a run may last before a bar appears, and barInterval is the least time between two redraws.
	barDelay    = time.Second
	barInterval = 200 * time.Millisecond
	// barWidth is the length of a full bar in characters.
	barWidth = 30
	// unknownSize marks an input of unknown size, such as a pipe. The bar is then a spinner.
	unknownSize = -1
)

// Bar shows on a terminal how much of the input was read. A nil bar shows nothing. It is for one goroutine.
type Bar struct {
	w     io.Writer
	began time.Time

	name string // of what is being read
	size int64  // its size in bytes, or unknownSize
	read int64
	bar  *progressbar.ProgressBar // nil until the run has lasted for barDelay
}

// StartBar returns a bar for standard error, or nil if that is no terminal.
func StartBar(s console.Streams) *Bar {
	file, isFile := s.Err.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return newBar(file)
}

func newBar(w io.Writer) *Bar { return &Bar{w: w, began: time.Now()} }

// Begin sets the name that the bar shows: that of a file, or of standard input.
func (b *Bar) Begin(name string) {
	if b == nil {
		return
	}
	b.Stop()
	b.name, b.size, b.read = name, unknownSize, 0
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		b.size = info.Size()
	}
}

// Add adds bytes that were read. What it writes is optional, so it has no error.
func (b *Bar) Add(bytes int) {
	if b == nil {
		return
	}
	b.read += int64(bytes)
	switch {
	case time.Since(b.began) < barDelay:
	case b.bar == nil:
		b.bar = b.show()
		_ = b.bar.Add64(b.read)
	default:
		_ = b.bar.Add(bytes)
	}
}

// Stop removes the bar.
func (b *Bar) Stop() {
	if b == nil || b.bar == nil {
		return
	}
	_ = b.bar.Clear()
	_ = b.bar.Exit()
	b.bar = nil
}

// show returns a bar, or a spinner if the size is not known.
func (b *Bar) show() *progressbar.ProgressBar {
	return progressbar.NewOptions64(b.size,
		progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription(b.name), progressbar.OptionSetWidth(barWidth),
		progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionThrottle(barInterval),
		progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish(),
		// With the interval 0, each call of Add turns the spinner. Otherwise progressbar would start a goroutine for
		// it.
		progressbar.OptionSetSpinnerChangeInterval(0))
}
