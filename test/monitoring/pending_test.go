package monitoring

import "testing"

// notYetServed are metrics that alerts and dashboard name, and that no operator serves yet. It must end up empty.
var notYetServed = []string{
	"registration_policy_stored_snapshot",
	"registration_policy_stored_snapshot_timestamp_seconds",
	"registration_policy_stored_snapshot_faults_total",
}

func wantNotYetServed(t *testing.T, p *prometheus) {
	t.Helper()
	for _, name := range notYetServed {
		if p.has(t, name) {
			t.Errorf("%s is served: take it off notYetServed", name)
		}
	}
}
