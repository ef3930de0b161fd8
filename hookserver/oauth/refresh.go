package oauth

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"registrationpolicy.dev/operator/internal/loglevel"
)

// Run fetches the keys at once and then every 10 minutes until ctx ends. A token with an unknown key makes it fetch
// earlier, at most every 30 s. It returns nil. After a failed fetch, the last keys stay in use for a day at most; the
// failure is logged once.
func (v *Verifier) Run(ctx context.Context) error {
	logger := v.options.Logger
	retry, tooOld := minRetryDelay, false
	for ctx.Err() == nil {
		v.clearRefreshRequest()
		before := v.keys.Load()
		switch err := v.refresh(ctx); {
		case ctx.Err() != nil:
		case err == nil:
			if now := v.keys.Load(); !now.sameNames(before) || tooOld {
				logger.Info("OAuth keys fetched", "issuer", v.options.Issuer, "keys", now.names(), "unusable", now.skipped)
			}
			retry, tooOld = minRetryDelay, false
			if wait(ctx, minRefreshInterval, nil) {
				wait(ctx, refreshInterval-minRefreshInterval, v.refreshRequested)
			}
		default:
			if before != nil && !before.inUse(time.Now()) && !tooOld {
				tooOld = true
				logger.Error(err, "OAuth keys are too old: calls with a token are refused", "issuer", v.options.Issuer)
			}
			wait(ctx, retry, nil)
			retry = min(2*retry, maxRetryDelay)
		}
	}
	return nil
}

// refresh fetches the keys once.
func (v *Verifier) refresh(ctx context.Context) error {
	started := time.Now()
	keys, err := v.options.fetch(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // Run was stopped; the fetch did not fail
	}
	if err != nil {
		v.failed.Add(1)
		text := strings.ReplaceAll(err.Error(), "\n", "; ")
		text = strings.ToValidUTF8(text[:min(len(text), maxFault)], "?")
		err = errors.New(text)
		if last := v.fault.Swap(&text); last == nil || *last != text {
			if v.keys.Load() == nil {
				v.options.Logger.Error(err, "OAuth keys not fetched: calls with a token are refused until they are", "issuer", v.options.Issuer)
			} else {
				loglevel.Warn(v.options.Logger, "OAuth keys not fetched: the last ones stay in use",
					"issuer", v.options.Issuer, "error", err)
			}
		}
		return err
	}
	keys.fetched = started
	v.keys.Store(keys)
	v.fetched.Add(1)
	if v.fault.Swap(nil) != nil {
		v.options.Logger.Info("OAuth keys fetched again", "issuer", v.options.Issuer)
	}
	return nil
}

// clearRefreshRequest clears a pending request, because a fetch starts now.
func (v *Verifier) clearRefreshRequest() {
	select {
	case <-v.refreshRequested:
	default:
	}
}

// wait waits for a duration, or until it receives from wake, unless wake is nil. It returns false if ctx ends first.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		return true
	case <-timer.C:
		return true
	}
}

// names returns the keys as algorithm:id, sorted. An id with unusual characters is shown as "?".
func (s *keySet) names() []string {
	names := make([]string, 0, len(s.keys))
	for name := range maps.Keys(s.keys) {
		id := name.id
		if !validValue(id) {
			id = "?"
		}
		names = append(names, string(name.algorithm)+":"+id)
	}
	slices.Sort(names)
	return names
}
