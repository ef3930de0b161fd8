package fleet

import (
	"maps"
	"slices"

	"registrationpolicy.dev/operator/internal/freshness"
)

// InForce is what a replica decides by.
type InForce struct {
	// Digest names the rules; "" while there are none.
	Digest string
	// Synced is, for each namespace that was read, the resourceVersion up to which the rules reflect its policies and lists.
	Synced map[string]string
	// Unreadable are the namespaces that the API server does not let this replica read now. Their last known rules stay in force.
	Unreadable []string
}

// Rules is what a replica reports on.
type Rules interface {
	// InForce returns what is in force, and a channel that is closed when it changes.
	InForce() (InForce, <-chan struct{})
	// AdvanceTo asks that the rules of every readable namespace soon reflect at least this resourceVersion.
	AdvanceTo(version string)
}

// reached reports whether the rules of every readable namespace reflect a version. Without a readable namespace they do not:
// nothing shows that the API server is there.
func (f InForce) reached(version string) bool {
	oldest, _ := f.span()
	return oldest != "" && !freshness.Older(oldest, version)
}

// span returns the oldest and the newest version of the readable namespaces; "" without one.
func (f InForce) span() (oldest, newest string) {
	for namespace, version := range f.Synced {
		if slices.Contains(f.Unreadable, namespace) {
			continue
		}
		if oldest == "" || freshness.Older(version, oldest) {
			oldest = version
		}
		if newest == "" || freshness.Older(newest, version) {
			newest = version
		}
	}
	return oldest, newest
}

// report is what a replica says of itself in its Lease.
type report struct {
	// Digest names the rules in force, as evidence for people.
	Digest string `json:"digest,omitempty"`
	// Synced is that of InForce.
	Synced map[string]string `json:"synced,omitempty"`
	// Unreadable is that of InForce.
	Unreadable []string `json:"unreadable,omitempty"`
	// Serving says that the replica answers calls, or may at any moment.
	Serving bool `json:"serving"`
	// Stopping says that it was told to stop. It serves until proxies know.
	Stopping bool `json:"stopping,omitempty"`
	// Version is the operator's.
	Version string `json:"version,omitempty"`
	// FenceAfterSeconds is the time without a report after which it answers no calls; 0 means never.
	FenceAfterSeconds int64 `json:"fenceAfterSeconds,omitempty"`
}

// forgetAfter drops the versions that are newer than one: an etcd that was restored has not come to them again.
func (r *report) forgetAfter(version string) {
	maps.DeleteFunc(r.Synced, func(_, synced string) bool { return freshness.Older(version, synced) })
}
