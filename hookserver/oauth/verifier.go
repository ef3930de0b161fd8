package oauth

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Verifier verifies tokens. It is made by [New], and kept able to by [Verifier.Run].
type Verifier struct {
	options Options

	keys   atomic.Pointer[keySet] // nil until they were first fetched
	fault  atomic.Pointer[string] // of the last fetch; nil if it succeeded
	wanted chan struct{}          // holds one: a token came whose key is unknown

	fetched, failed atomic.Uint64 // fetches
	accepted        []atomic.Uint64
}

// New returns a verifier without keys: until [Verifier.Run] has fetched them, it accepts nothing. The error names every option
// that is wrong, and calls nobody: the issuer may be away.
func New(options Options) (*Verifier, error) {
	options.setDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	return &Verifier{
		options: options, wanted: make(chan struct{}, 1), accepted: make([]atomic.Uint64, len(options.ClientIDs)),
	}, nil
}

// VerifyHeader verifies the token of an Authorization header for which [IsToken] is true. See [Verifier.Verify].
func (v *Verifier) VerifyHeader(authorization string) (client string, cause Cause, ok bool) {
	token, is := bearer(authorization)
	if !is {
		return "", CauseMalformed, false
	}
	return v.Verify(token)
}

// Verify says whether a token was issued for a call of this hook, by which client, and if not, why not. It neither waits for
// anything nor calls anybody.
func (v *Verifier) Verify(token string) (client string, cause Cause, ok bool) {
	u, cause := parse(token)
	if cause != "" {
		return "", cause, false
	}
	now := time.Now()
	if client, cause = v.options.check(u.claims, now); cause != "" {
		return "", cause, false
	}
	keys := v.keys.Load()
	if !keys.inUse(now) {
		return "", CauseNoKeys, false
	}
	key, cause := keys.find(u.key)
	if cause != "" {
		if cause == CauseUnknownKey {
			v.want()
		}
		return "", cause, false
	}
	if cause := u.verify(key); cause != "" {
		return "", cause, false
	}
	v.accepted[slices.Index(v.options.ClientIDs, client)].Add(1)
	return client, "", true
}

// inUse says whether the keys may verify anything. nil may not.
func (s *keySet) inUse(now time.Time) bool {
	return s != nil && now.Sub(s.fetched) <= maxKeyAge
}

// want asks for the keys to be fetched again. It never waits.
func (v *Verifier) want() {
	select {
	case v.wanted <- struct{}{}:
	default:
	}
}

// State is how a verifier is at a time.
type State struct {
	// Issuer is that of the options.
	Issuer string
	// Keys is how many keys verify tokens now: 0 before the first fetch, and once they are too old.
	Keys int
	// Age is the time since the last fetch that succeeded. It has no meaning until Fetched is 1.
	Age time.Duration
	// Fetched and Failed count the fetches.
	Fetched, Failed uint64
	// Fault is what is wrong with the last fetch; "" if it succeeded, or none has ended yet.
	Fault string
	// Accepted counts the tokens accepted, in the order of ClientIDs.
	ClientIDs []string
	Accepted  []uint64
}

// State returns how the verifier is now.
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
