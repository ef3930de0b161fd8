package install

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// inMemory matches a memory address, which is useless in a log.
var inMemory = regexp.MustCompile(`0x[0-9a-f]{5,}`)

// After an installation, people look at the Events and the log. There must be no warnings and errors if all is well.
func TestAFreshInstallationRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	const namespace = "fresh"
	c := startCluster(t)
	n := startNode(t, c)
	c.namespace(t, namespace)
	c.secret(t, namespace, "hook-auth", map[string]string{"okta": "a-credential-of-the-test"})
	c.helm(t, "install", "fresh", chartDir, "--namespace", namespace, "--set", "auth.existingSecret=hook-auth,replicaCount=3", "--wait")
	c.kubectl(t, "--namespace", namespace, "wait", "--for=create", "lease/fresh-registration-policy-operator")

	n.mu.Lock()
	defer n.mu.Unlock()
	replicas := 0
	for _, p := range n.pods {
		replicas++
		if failed := p.failed.Load(); failed > 0 {
			t.Errorf("%s: %d failed probes before it was ready", p.key.Name, failed)
		}
		for text := range strings.Lines(p.log.String()) {
			var line struct{ Level, Msg string }
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Errorf("a line that is no JSON: %s", text)
			}
			if line.Level != "INFO" || inMemory.MatchString(text) || strings.Contains(text, "might not work") {
				t.Errorf("%s: %s", p.key.Name, text)
			}
		}
	}
	if replicas != 3 {
		t.Errorf("%d replicas, want 3", replicas)
	}
}
