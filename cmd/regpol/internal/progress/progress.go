package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressInterval is the time between two lines about progress. A run that is shorter prints none.
const progressInterval = 3 * time.Second

// Steps prints the current step of a long run at intervals.
type Steps struct {
	w     io.Writer
	began time.Time
	ended chan struct{}
	once  sync.Once
	done  sync.WaitGroup

	mu    sync.Mutex
	doing string
}

// Start prints progress to w until stop is called.
func Start(w io.Writer) *Steps {
	p := &Steps{w: w, began: time.Now(), ended: make(chan struct{})}
	p.done.Go(p.run)
	return p
}

// Step sets the current step.
func (p *Steps) Step(doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = doing
}

// Stop ends the printing. Nothing is written after it returns.
func (p *Steps) Stop() {
	p.once.Do(func() { close(p.ended) })
	p.done.Wait()
}

func (p *Steps) run() {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			p.mu.Lock()
			doing := p.doing
			p.mu.Unlock()
			_, _ = fmt.Fprintf(p.w, "regpol: %s (%s)\n", doing, time.Since(p.began).Round(time.Second)) // progress is optional
		}
	}
}
