package fleet

import (
	"maps"
	"slices"

	"registrationpolicy.dev/operator/internal/freshness"
)

// InForce describes the rules in force on a replica.
type InForce struct {
	// Digest is the digest of the rules; "" while there are none.
	Digest string
	// Synced maps each namespace that was read to the resourceVersion up to which its rules are current.
	Synced map[string]string
	// Unreadable are the namespaces that the API server does not let this replica read now. Their last known rules stay
	// in force.
	Unreadable []string
}

// Rules are the rules that a replica reports on.
type Rules interface {
	// InForce returns what is in force, and a channel that is closed when that changes.
	InForce() (InForce, <-chan struct{})
	// AdvanceTo asks that the rules of every readable namespace soon reach this resourceVersion.
	AdvanceTo(version string)
}

// reached reports whether the rules of every readable namespace have reached a version. It is false without a readable
// namespace, since nothing then shows that the API server is available.
func (f InForce) reached(version string) bool {
	oldest, _ := f.versionRange()
	return oldest != "" && !freshness.Older(oldest, version)
}

// versionRange returns the oldest and the newest version of the readable namespaces; "" if there are none.
func (f InForce) versionRange() (oldest, newest string) {
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

// report is what a replica reports in its Lease.
type report struct {
	// Digest is the digest of the rules in force, for people only.
	Digest string `json:"digest,omitempty"`
	// Synced is as in InForce.
	Synced map[string]string `json:"synced,omitempty"`
	// Unreadable is as in InForce.
	Unreadable []string `json:"unreadable,omitempty"`
	// Serving: the replica answers calls, or may begin at any moment.
	Serving bool `json:"serving"`
	// Stopping: the replica was told to stop. It still serves until proxies have noticed.
	Stopping bool `json:"stopping,omitempty"`
	// Version is the version of the operator.
	Version string `json:"version,omitempty"`
	// FenceAfterSeconds is the time without a confirmed report after which the replica answers no calls; 0 means never.
	FenceAfterSeconds int64 `json:"fenceAfterSeconds,omitempty"`
}

// dropNewerThan drops versions newer than the given one: they are from before an etcd restore.
func (r *report) dropNewerThan(version string) {
	maps.DeleteFunc(r.Synced, func(_, synced string) bool { return freshness.Older(version, synced) })
}
