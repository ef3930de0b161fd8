package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"registrationpolicy.dev/operator/rules"
)

// readiness says whether this replica should get calls, and why.
type readiness struct {
	store    *rules.Store
	observe  bool
	insecure bool
	// policyErr returns what is wrong with the policies last read; nil where the API server takes care of that.
	policyErr func() error
	draining  atomic.Bool
}

// details are what /readyz on the metrics port says. The one on the probe port, which more people may reach, says ok or not.
type details struct {
	Ready    bool   `json:"ready"`
	Rules    string `json:"rules"`
	Digest   string `json:"digest,omitempty"`
	Policies int    `json:"policies"`
	// PolicyError says that the policies last read are refused, and earlier ones in force.
	PolicyError string `json:"policyError,omitempty"`
	Draining    bool   `json:"draining"`
	Observe     bool   `json:"observe"`
	Insecure    bool   `json:"insecureNoAuthentication"`
}

func (r *readiness) details() details {
	d := details{Rules: "loaded", Draining: r.draining.Load(), Observe: r.observe, Insecure: r.insecure}
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
	d.Ready = err == nil && !d.Draining
	return d
}

func (r *readiness) plain(w http.ResponseWriter, _ *http.Request) {
	if !r.details().Ready {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
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
