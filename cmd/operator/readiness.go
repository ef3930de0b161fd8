package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"registrationpolicy.dev/operator/hookserver/oauth"
	"registrationpolicy.dev/operator/rules"
)

// readiness says whether this replica should get calls, and why.
type readiness struct {
	store    *rules.Store
	observe  bool
	insecure bool
	// policyErr returns what is wrong with the policies last read; nil where the API server takes care of that.
	policyErr func() error
	// oauth returns how the verifier of tokens is; nil without one.
	oauth func() oauth.State
	// cluster is nil with a directory of policies.
	cluster *cluster
	// maxStaleness is how long a replica may have heard nothing of the API server; 0 means for ever.
	maxStaleness time.Duration
	draining     atomic.Bool
	// listening says that the hook's port accepts connections: from when rules are in force.
	listening atomic.Bool
}

// details are what /readyz on the metrics port says. The one on the probe port, which more people may reach, says ok or not.
type details struct {
	Ready bool `json:"ready"`
	// Listening says that the hook's port accepts connections. It does from the moment on at which rules are in force and the
	// replica is not fenced.
	Listening bool `json:"listening"`
	// Rules is "loaded", or says why there are none.
	Rules    string `json:"rules"`
	Digest   string `json:"digest,omitempty"`
	Policies int    `json:"policies"`
	// PolicyError says that the policies last read are refused, and earlier ones in force.
	PolicyError string `json:"policyError,omitempty"`
	// Namespaces are those that are watched; absent with a directory of policies.
	Namespaces []namespaceDetails `json:"namespaces,omitempty"`
	// WatchProvenSecondsAgo is since the watch that has been silent for longest was known to be alive, of the namespaces that can be
	// read; absent if one never was.
	WatchProvenSecondsAgo *float64 `json:"watchProvenSecondsAgo,omitempty"`
	// Stale says that this is longer than --max-staleness.
	Stale bool `json:"stale,omitempty"`
	// Fenced says that calls are answered 503 by --fence-after, or will be in a moment.
	Fenced bool `json:"fenced,omitempty"`
	// Joining says that the others do not know of this replica yet.
	Joining bool `json:"joining,omitempty"`
	// Stored is absent unless a stored snapshot is in force.
	Stored   *storedDetails `json:"stored,omitempty"`
	Draining bool           `json:"draining"`
	Observe  bool           `json:"observe"`
	Insecure bool           `json:"insecureNoAuthentication"`
	// OAuth is absent without an issuer. It makes no replica unready: the issuer is away for all of them alike, and calls with
	// other credentials are answered.
	OAuth *oauthDetails `json:"oauth,omitempty"`
}

// namespaceDetails say how one watched namespace is.
type namespaceDetails struct {
	Name string `json:"name"`
	// State is what its calls get.
	State namespaceState `json:"state"`
	// Synced is the resourceVersion up to which the rules in force reflect its policies and lists; absent until it was read.
	Synced string `json:"synced,omitempty"`
	// Fault says why the API server does not let it be read; absent while it does.
	Fault string `json:"fault,omitempty"`
	// FaultSeconds is the time since that began.
	FaultSeconds float64 `json:"faultSeconds,omitempty"`
}

// namespaceState is what the calls of a namespace get.
type namespaceState string

const (
	// namespaceCurrent: its rules are in force, and followed.
	namespaceCurrent namespaceState = "current"
	// namespaceLastKnown: it cannot be read now; its last known rules are in force.
	namespaceLastKnown namespaceState = "lastKnownRules"
	// namespaceDenied: it was never read; the calls in its scope are denied.
	namespaceDenied namespaceState = "denied"
	// namespaceWaitedFor: it was never read, and no rules come into force before it is.
	namespaceWaitedFor namespaceState = "waitedFor"
)

// storedDetails say how old the stored snapshot in force is.
type storedDetails struct {
	// Since is when it came into force at first and was written.
	Since time.Time `json:"since"`
	// AgeSeconds is the time since then.
	AgeSeconds float64 `json:"ageSeconds"`
}

// oauthDetails say whether tokens can be verified.
type oauthDetails struct {
	Issuer string `json:"issuer"`
	// Keys is how many keys verify tokens; with 0, every token is refused.
	Keys int `json:"keys"`
	// AgeSeconds is the time since they were last fetched; absent until then.
	AgeSeconds *float64 `json:"ageSeconds,omitempty"`
	// Error says what is wrong with the last fetch.
	Error string `json:"error,omitempty"`
}

func newOAuthDetails(state oauth.State) *oauthDetails {
	d := &oauthDetails{Issuer: state.Issuer, Keys: state.Keys, Error: state.Fault}
	if state.Fetched > 0 {
		d.AgeSeconds = new(state.Age.Seconds())
	}
	return d
}

func (r *readiness) details() details {
	d := details{Rules: "loaded", Listening: r.listening.Load(), Draining: r.draining.Load(), Observe: r.observe, Insecure: r.insecure}
	snapshot, err := r.store.Load()
	if err != nil {
		d.Rules = err.Error()
	} else {
		d.Digest, d.Policies = snapshot.Digest(), len(snapshot.Policies())
	}
	if r.policyErr != nil {
		if err := r.policyErr(); err != nil {
			d.PolicyError = err.Error()
		}
	}
	if r.oauth != nil {
		d.OAuth = newOAuthDetails(r.oauth())
	}
	if r.cluster != nil {
		r.cluster.detail(&d, err == nil, r.maxStaleness)
	}
	d.Ready = err == nil && d.Listening && !d.Draining && !d.Stale && !d.Fenced && !d.Joining
	return d
}

// detail adds what there is to say of a replica among others.
func (c *cluster) detail(d *details, loaded bool, maxStaleness time.Duration) {
	d.Namespaces = c.namespaces()
	heard := c.tracker.Proven()
	if !heard.IsZero() {
		d.WatchProvenSecondsAgo = new(time.Since(heard).Seconds())
	}
	if c.stored != nil {
		if written, inForce := c.stored.InForce(); inForce {
			d.Stored = &storedDetails{written, time.Since(written).Seconds()}
			heard = written // nothing since
		}
	}
	d.Stale = maxStaleness > 0 && !heard.IsZero() && time.Since(heard) > maxStaleness
	d.Fenced = c.replica.FencedSoon()
	d.Joining = !c.replica.Serving(loaded, d.Stored != nil)
}

func (c *cluster) namespaces() []namespaceDetails {
	inForce, _ := c.publisher.InForce()
	pending := c.publisher.Pending()
	var all []namespaceDetails
	for _, name := range c.tracker.Namespaces() {
		one := namespaceDetails{Name: name, State: namespaceCurrent, Synced: inForce.Synced[name]}
		if state := c.tracker.State(name); state.Fault != nil {
			one.Fault, one.FaultSeconds = state.Fault.Error(), time.Since(state.FaultSince).Seconds()
		}
		switch read := c.publisher.HasRead(name); {
		case slices.Contains(pending, name):
			one.State = namespaceWaitedFor
		case !read:
			one.State = namespaceDenied
		case one.Fault != "":
			one.State = namespaceLastKnown
		}
		all = append(all, one)
	}
	return all
}

func (r *readiness) plain(w http.ResponseWriter, _ *http.Request) {
	if !r.details().Ready {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// started answers once the replica is ready, or after a while in any case: a start makes no failed probe, of which the kubelet would
// write an Event each, and a replica that waits for the API server is not started anew.
func (r *readiness) started(w http.ResponseWriter, request *http.Request) {
	waited, cancel := context.WithTimeout(request.Context(), startupWait)
	defer cancel()
	check := time.NewTicker(startupCheck)
	defer check.Stop()
	for !r.details().Ready && !r.draining.Load() && waited.Err() == nil {
		select {
		case <-waited.Done():
		case <-check.C:
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (r *readiness) detailed(w http.ResponseWriter, _ *http.Request) {
	d := r.details()
	w.Header().Set("Content-Type", "application/json")
	if !d.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(d) // the reader has gone
}
