package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"registrationpolicy.dev/operator/hookserver/oauth"
	"registrationpolicy.dev/operator/rules"
)

// readiness computes whether this replica should get calls, and serves the result.
type readiness struct {
	store    *rules.Store
	observe  bool
	insecure bool
	// policyErr returns the error of the last load of the files of --policy-dir. It is nil in a cluster.
	policyErr func() error
	// oauth returns the state of the verifier of access tokens. It is nil without --hook-oauth-issuer.
	oauth func() oauth.State
	// cluster is nil with --policy-dir.
	cluster *cluster
	// maxStaleness is --max-staleness; 0: no limit.
	maxStaleness time.Duration
	draining     atomic.Bool
	// listening is true once the port of the hook accepts connections.
	listening atomic.Bool

	mu        sync.Mutex
	checkedAt time.Time // when the method recent last computed wasReady
	wasReady  bool
}

// recentAge is how old an answer of [readiness.recent] may be.
const recentAge = 100 * time.Millisecond

// details is the body of /readyz on the metrics port. On the probe port, which more clients can reach, /readyz says
// only ok or not.
type details struct {
	Ready bool `json:"ready"`
	// Listening is true once the port of the hook accepts connections. It does so once rules are in force, and
	// --fence-after does not make the replica answer 503 (see Fenced).
	Listening bool `json:"listening"`
	// Rules is "loaded", or the reason why no rules are in force.
	Rules    string `json:"rules"`
	Digest   string `json:"digest,omitempty"`
	Policies int    `json:"policies"`
	// PolicyError is the error of the last load of the files of --policy-dir. While there is one, the rules of the last
	// load without an error are in force.
	PolicyError string `json:"policyError,omitempty"`
	// Namespaces are the watched namespaces; absent with --policy-dir.
	Namespaces []namespaceDetails `json:"namespaces,omitempty"`
	// WatchProvenSecondsAgo is the time since the API server last sent something for the watch that has been silent for
	// longest. Watches of namespaces that cannot be read do not count. It is absent until every watch has got something.
	WatchProvenSecondsAgo *float64 `json:"watchProvenSecondsAgo,omitempty"`
	// Stale means that WatchProvenSecondsAgo, or the age in Stored, is over --max-staleness.
	Stale bool `json:"stale,omitempty"`
	// Fenced means that --fence-after makes this replica answer calls 503, or soon will. The replica is already
	// unready, so that proxies stop sending calls in time.
	Fenced bool `json:"fenced,omitempty"`
	// Joining means that the other replicas do not know of this one yet.
	Joining bool `json:"joining,omitempty"`
	// Stored is absent unless a stored snapshot is in force: see storedDetails.
	Stored   *storedDetails `json:"stored,omitempty"`
	Draining bool           `json:"draining"`
	Observe  bool           `json:"observe"`
	Insecure bool           `json:"insecureNoAuthentication"`
	// OAuth is absent without --hook-oauth-issuer. A replica stays ready while the issuer is unreachable. Otherwise all
	// replicas would become unready at once, also for calls with the credentials of --hook-auth-dir.
	OAuth *oauthDetails `json:"oauth,omitempty"`
}

// namespaceDetails describes a watched namespace.
type namespaceDetails struct {
	Name string `json:"name"`
	// State says which rules of the namespace decide calls: the newest, the last known, or none.
	State namespaceState `json:"state"`
	// Synced is the resourceVersion up to which the rules in force reflect the policies and lists of the namespace. It is
	// absent until the namespace was read.
	Synced string `json:"synced,omitempty"`
	// Fault is the error with which the API server refuses reads; absent while it allows them.
	Fault string `json:"fault,omitempty"`
	// FaultSeconds is the time for which reads have been refused.
	FaultSeconds float64 `json:"faultSeconds,omitempty"`
}

// namespaceState says which rules of a namespace decide calls.
type namespaceState string

const (
	// namespaceCurrent: its current rules.
	namespaceCurrent namespaceState = "current"
	// namespaceLastKnown: the last rules that were read, because the namespace cannot be read now.
	namespaceLastKnown namespaceState = "lastKnownRules"
	// namespaceDenied: none, because the namespace was never read. The calls of the sources that --namespace-sources
	// gives it are denied.
	namespaceDenied namespaceState = "denied"
	// namespaceWaitedFor: none, because the namespace was never read. Until it is read, no rules of any namespace come
	// into force.
	namespaceWaitedFor namespaceState = "waitedFor"
)

// storedDetails describes a stored snapshot: rules that the operator wrote to a file, and read back after a restart.
// They are in force until the operator has read the rules from the API server.
type storedDetails struct {
	// Since is the time at which the snapshot was written: when its rules came into force, before the process restarted.
	Since time.Time `json:"since"`
	// AgeSeconds is the time since Since.
	AgeSeconds float64 `json:"ageSeconds"`
}

// oauthDetails describes the token verifier.
type oauthDetails struct {
	Issuer string `json:"issuer"`
	// Keys is the number of keys that verify tokens; with 0, every token is refused.
	Keys int `json:"keys"`
	// AgeSeconds is the time since the keys were last fetched. It is absent until the first fetch.
	AgeSeconds *float64 `json:"ageSeconds,omitempty"`
	// Error is the error of the last fetch of the keys. It is absent if the fetch succeeded.
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

// recent reports whether this replica is ready, or was at most recentAge ago. It is for unauthenticated callers:
// however often they call, recent takes the locks of rules and watches at most once per recentAge.
func (r *readiness) recent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.checkedAt) > recentAge {
		r.wasReady = r.details().Ready
		r.checkedAt = time.Now()
	}
	return r.wasReady
}

// detail adds the details that exist only in a cluster. loaded tells it whether rules are in force.
func (c *cluster) detail(d *details, loaded bool, maxStaleness time.Duration) {
	d.Namespaces = c.namespaces()
	upToDate := c.tracker.Proven()
	if !upToDate.IsZero() {
		d.WatchProvenSecondsAgo = new(time.Since(upToDate).Seconds())
	}
	if c.stored != nil {
		if written, inForce := c.stored.InForce(); inForce {
			d.Stored = &storedDetails{written, time.Since(written).Seconds()}
			upToDate = written
		}
	}
	d.Stale = maxStaleness > 0 && !upToDate.IsZero() && time.Since(upToDate) > maxStaleness
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

func (r *readiness) serveStatus(w http.ResponseWriter, _ *http.Request) {
	if !r.details().Ready {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// serveStartup answers 200 once the replica is ready, or after startupWait. It never fails: the kubelet would write an
// Event for each failed probe, and would restart a replica that waits for the API server.
func (r *readiness) serveStartup(w http.ResponseWriter, request *http.Request) {
	waiting, cancel := context.WithTimeout(request.Context(), startupWait)
	defer cancel()
	check := time.NewTicker(startupCheckInterval)
	defer check.Stop()
	for !r.details().Ready && !r.draining.Load() && waiting.Err() == nil {
		select {
		case <-waiting.Done():
		case <-check.C:
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (r *readiness) serveDetails(w http.ResponseWriter, _ *http.Request) {
	d := r.details()
	w.Header().Set("Content-Type", "application/json")
	if !d.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(d) // fails only if the client has disconnected
}
