package replica

import (
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

// reached reports whether the rules of every readable namespace have reached a resourceVersion. Without a readable
// namespace it is false, since nothing then shows that the API server still sends changes.
func (f InForce) reached(version string) bool {
	oldest, _ := f.versionRange()
	return oldest != "" && !freshness.Older(oldest, version)
}

// versionRange returns the oldest and the newest resourceVersion of the readable namespaces; "" if there are none.
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
