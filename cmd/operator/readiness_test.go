package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"registrationpolicy.dev/operator/rules"
)

func TestTheStartupProbeIsAnsweredOnceReadyOrAfterAWhile(t *testing.T) {
	for sentence, c := range map[string]struct {
		become func(*readiness)
		after  time.Duration
		want   time.Duration
	}{
		"ready after a while":         {func(r *readiness) { r.listening.Store(true) }, 2 * time.Second, 2 * time.Second},
		"told to stop meanwhile":      {func(r *readiness) { r.draining.Store(true) }, 3 * time.Second, 3 * time.Second},
		"not ready for a long time":   {func(*readiness) {}, 0, startupWait},
		"ready before it is asked":    {func(r *readiness) { r.listening.Store(true) }, 0, 0},
		"ready after it has answered": {func(r *readiness) { r.listening.Store(true) }, time.Minute, startupWait},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ready := &readiness{store: &rules.Store{}}
				snapshot, _ := rules.Compile(nil)
				ready.store.Publish(snapshot)
				if c.after == 0 {
					c.become(ready)
				} else {
					time.AfterFunc(c.after, func() { c.become(ready) })
				}
				asked, answer := time.Now(), httptest.NewRecorder()
				ready.serveStartup(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/startupz", nil))
				if answer.Code != http.StatusOK {
					t.Errorf("status %d", answer.Code)
				}
				if took := time.Since(asked); took < c.want || took > c.want+2*startupCheckInterval {
					t.Errorf("answered after %s, want %s", took, c.want)
				}
				synctest.Wait()
			})
		})
	}
}
