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

// Run fetches the keys, at once and then again and again, until ctx ends. It returns nil. What cannot be fetched or read leaves
// the last keys in use, for a day at most, and is logged once.
func (v *Verifier) Run(ctx context.Context) error {
	logger := v.options.Logger
	retry, tooOld := retryFirst, false
	for ctx.Err() == nil {
		v.unwant()
		before := v.keys.Load()
		switch err := v.refresh(ctx); {
		case ctx.Err() != nil:
		case err == nil:
			if now := v.keys.Load(); !now.same(before) || tooOld {
				logger.Info("OAuth keys fetched", "issuer", v.options.Issuer, "keys", now.ids(), "unusable", now.skipped)
			}
			retry, tooOld = retryFirst, false
			if wait(ctx, refreshAtMost, nil) {
				wait(ctx, refreshEvery-refreshAtMost, v.wanted)
			}
		default:
			if before != nil && !before.inUse(time.Now()) && !tooOld {
				tooOld = true
				logger.Error(err, "OAuth keys are too old: calls with a token are refused", "issuer", v.options.Issuer)
			}
			wait(ctx, retry, nil)
			retry = min(2*retry, retryLast)
		}
	}
	return nil
}

// refresh fetches the keys once.
func (v *Verifier) refresh(ctx context.Context) error {
	begun := time.Now()
	keys, err := v.options.fetch(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // told to stop: no fault of the issuer's
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
	keys.fetched = begun
	v.keys.Store(keys)
	v.fetched.Add(1)
	if v.fault.Swap(nil) != nil {
		v.options.Logger.Info("OAuth keys fetched again", "issuer", v.options.Issuer)
	}
	return nil
}

// unwant forgets the tokens whose key was unknown: the fetch that begins now answers them.
func (v *Verifier) unwant() {
	select {
	case <-v.wanted:
	default:
	}
}

// wait waits until the time is over or something is wanted; a nil channel never wants. It returns false if ctx ended before.
func wait(ctx context.Context, d time.Duration, wanted <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wanted:
		return true
	case <-timer.C:
		return true
	}
}

// ids returns the names of the keys, sorted, fit for a log.
func (s *keySet) ids() []string {
	ids := make([]string, 0, len(s.keys))
	for name := range maps.Keys(s.keys) {
		id := name.id
		if !validValue(id) {
			id = "?"
		}
		ids = append(ids, string(name.algorithm)+":"+id)
	}
	slices.Sort(ids)
	return ids
}
