package oauth

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Verifier verifies tokens. [New] makes it, and [Verifier.Run] fetches its keys.
type Verifier struct {
	options Options

	keys             atomic.Pointer[keySet] // nil until the first fetch
	fault            atomic.Pointer[string] // why the last fetch failed; nil if it succeeded
	refreshRequested chan struct{}          // holds one request to fetch the keys early

	fetched, failed atomic.Uint64   // counts of successful and failed fetches
	accepted        []atomic.Uint64 // counts of accepted tokens by client, in the order of Options.ClientIDs
}

// New returns a verifier without keys, which accepts no token until [Verifier.Run] has fetched them. It fails if
// options are invalid, with an error that names each. It does not call the issuer.
func New(options Options) (*Verifier, error) {
	options.setDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	return &Verifier{
		options: options, refreshRequested: make(chan struct{}, 1), accepted: make([]atomic.Uint64, len(options.ClientIDs)),
	}, nil
}

// VerifyHeader verifies the token of an Authorization header for which [IsToken] is true. See [Verifier.Verify].
func (v *Verifier) VerifyHeader(authorization string) (client string, cause Cause, ok bool) {
	token, isToken := bearer(authorization)
	if !isToken {
		return "", CauseMalformed, false
	}
	return v.Verify(token)
}

// Verify reports whether a token is valid for this hook. It returns the client's id, or why the token is refused. It
// only uses the keys in memory, and never waits.
func (v *Verifier) Verify(token string) (client string, cause Cause, ok bool) {
	u, cause := parse(token)
	if cause != "" {
		return "", cause, false
	}
	now := time.Now()
	if client, cause = v.options.checkClaims(u.claims, now); cause != "" {
		return "", cause, false
	}
	keys := v.keys.Load()
	if !keys.inUse(now) {
		return "", CauseNoKeys, false
	}
	key, cause := keys.find(u.key)
	if cause != "" {
		if cause == CauseUnknownKey {
			v.requestRefresh()
		}
		return "", cause, false
	}
	if cause := u.verify(key); cause != "" {
		return "", cause, false
	}
	v.accepted[slices.Index(v.options.ClientIDs, client)].Add(1)
	return client, "", true
}

// inUse reports whether the keys may still be used. It returns false for nil.
func (s *keySet) inUse(now time.Time) bool {
	return s != nil && now.Sub(s.fetched) <= maxKeyAge
}

// requestRefresh makes Run fetch the keys early. It never waits.
func (v *Verifier) requestRefresh() {
	select {
	case v.refreshRequested <- struct{}{}:
	default:
	}
}

// State is the state of a verifier, for metrics and readiness.
type State struct {
	// Issuer is Options.Issuer.
	Issuer string
	// Keys is the number of keys in use: 0 before the first fetch, and when they are too old.
	Keys int
	// Age is the time since the last successful fetch. It is valid only if Fetched is not 0.
	Age time.Duration
	// Fetched and Failed count the successful and the failed fetches.
	Fetched, Failed uint64
	// Fault says why the last fetch failed; "" if it succeeded or none has finished.
	Fault string
	// Accepted counts the accepted tokens by client, in the order of ClientIDs.
	ClientIDs []string
	Accepted  []uint64
}

// State returns the current state.
func (v *Verifier) State() State {
	s := State{
		Issuer: v.options.Issuer, Fetched: v.fetched.Load(), Failed: v.failed.Load(),
		ClientIDs: v.options.ClientIDs, Accepted: make([]uint64, len(v.accepted)),
	}
	for i := range v.accepted {
		s.Accepted[i] = v.accepted[i].Load()
	}
	if fault := v.fault.Load(); fault != nil {
		s.Fault = *fault
	}
	if keys := v.keys.Load(); keys != nil {
		now := time.Now()
		s.Age = now.Sub(keys.fetched)
		if keys.inUse(now) {
			s.Keys = len(keys.keys)
		}
	}
	return s
}
