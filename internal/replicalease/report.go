package replicalease

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

const (
	// replicaOfLabel is on the Lease of every replica; its value is the name of the leader's Lease.
	replicaOfLabel = "registrationpolicy.dev/replica-of"
	// reportAnnotation holds the Report of the replica, as JSON.
	reportAnnotation = "registrationpolicy.dev/replica"
)

// Duration is the spec.leaseDurationSeconds of the Lease: a replica whose Lease has not changed for longer is silent.
const Duration = 30 * time.Second

// Report is what a replica writes into its Lease.
type Report struct {
	// Digest is the digest of the rules in force, for people only.
	Digest string `json:"digest,omitempty"`
	// Synced maps each namespace that was read to the resourceVersion up to which its rules are current.
	Synced map[string]string `json:"synced,omitempty"`
	// Unreadable are the namespaces that the API server does not let the replica read now. Their last known rules stay
	// in force.
	Unreadable []string `json:"unreadable,omitempty"`
	// Serving: the replica answers calls, or may begin at any moment.
	Serving bool `json:"serving"`
	// Stopping: the replica was told to stop. It still answers calls until proxies have stopped sending them.
	Stopping bool `json:"stopping,omitempty"`
	// Version is the version of the operator.
	Version string `json:"version,omitempty"`
	// FenceAfterSeconds is the --fence-after of the replica: it answers no calls if it could not confirm any report for
	// that long. The type Replica of package replica says what confirms a report. 0 means never.
	FenceAfterSeconds int64 `json:"fenceAfterSeconds,omitempty"`
}

// Labels are the labels by which the leader lists the Leases of all replicas. leaderLease is the name of its own Lease.
func Labels(leaderLease string) map[string]string {
	return map[string]string{replicaOfLabel: leaderLease}
}

// Name returns the name of a replica's Lease.
func Name(leaderLease, replica string) string { return leaderLease + "." + replica }

// ReplicaName returns the name of the replica whose Lease has this name, which [Name] has returned.
func ReplicaName(leaderLease, name string) string {
	return name[min(len(leaderLease)+len("."), len(name)):]
}

// Write sets the labels, the duration and the report of a Lease. It keeps other labels and annotations. It fails only
// if the report cannot be encoded as JSON.
func Write(lease *coordinationv1.Lease, leaderLease string, report Report) error {
	text, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	lease.Labels = withEntry(lease.Labels, replicaOfLabel, leaderLease)
	lease.Annotations = withEntry(lease.Annotations, reportAnnotation, string(text))
	lease.Spec.LeaseDurationSeconds = new(int32(Duration / time.Second))
	return nil
}

// Read returns the report in a Lease. If the report cannot be decoded, for example because a newer operator wrote it,
// Read returns a report that says only that the replica serves. Otherwise the leader would not wait for the replica.
func Read(lease *coordinationv1.Lease) Report {
	report := Report{}
	if err := json.Unmarshal([]byte(lease.Annotations[reportAnnotation]), &report); err != nil {
		return Report{Serving: true}
	}
	return report
}

func withEntry(labels map[string]string, key, value string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	return labels
}
