package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressEvery is how often a line says what a verb is doing. What is over sooner says nothing.
const progressEvery = 3 * time.Second

// progress says now and then what a verb is doing that takes its time.
type progress struct {
	w     io.Writer
	began time.Time
	ended chan struct{}
	once  sync.Once
	done  sync.WaitGroup

	mu    sync.Mutex
	doing string
}

// startProgress begins to write to w, until stop is called.
func startProgress(w io.Writer) *progress {
	p := &progress{w: w, began: time.Now(), ended: make(chan struct{})}
	p.done.Go(p.run)
	return p
}

// step says what is being done from now on.
func (p *progress) step(doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = doing
}

// stop ends it: nothing is written after it returns.
func (p *progress) stop() {
	p.once.Do(func() { close(p.ended) })
	p.done.Wait()
}

func (p *progress) run() {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			p.mu.Lock()
			doing := p.doing
			p.mu.Unlock()
			_, _ = fmt.Fprintf(p.w, "regpol: %s (%s)\n", doing, time.Since(p.began).Round(time.Second)) // no place to say that it fails
		}
	}
}
