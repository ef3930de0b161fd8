package manual

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheChartHasTheValuesThatThePagesName(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "charts", "registration-policy-operator", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	for value, file := range map[string]string{
		"addressAttributes": "okta/troubleshooting.md",
		"auth.header":       "okta/connect.md",
		"auth.keys":         "okta/connect.md",
		"hook.path":         "okta/troubleshooting.md",
		"hook.tls":          "okta/troubleshooting.md",
		"maxInFlight":       "okta/troubleshooting.md",
		"namespaceSources":  "okta/troubleshooting.md",
		"observe":           "okta/rollout.md",
		"texts.blank":       "okta/troubleshooting.md",
		"texts.notAllowed":  "okta/troubleshooting.md",
		"watchNamespaces":   "okta/troubleshooting.md",
	} {
		if p := (&page{file: file}); !strings.Contains(p.whole(t), "`"+value) {
			t.Errorf("docs/%s does not name %s", file, value)
		}
		within := any(values)
		for part := range strings.SplitSeq(value, ".") {
			members, _ := within.(map[string]any)
			found, there := members[part]
			if !there {
				t.Errorf("the chart has no value %s", value)
				break
			}
			within = found
		}
	}
	auth, _ := values["auth"].(map[string]any)
	if auth["header"] != authHeader {
		t.Errorf("auth.header is %v, and the pages say %s", auth["header"], authHeader)
	}
}

// Requests and limits in values.yaml follow from measurements, and its comments quote them.
func TestTheMemoryThatTheValuesNameIsOnThePageOfMeasurements(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "charts", "registration-policy-operator", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	measured := (&page{file: "contributing/performance.md"}).whole(t)
	figures := regexp.MustCompile(`[0-9.]+ MiB`).FindAllString(strings.ReplaceAll(string(text), "\n#", ""), -1)
	for _, figure := range figures {
		if !strings.Contains(measured, " "+figure) {
			t.Errorf("docs/contributing/performance.md does not say %s", figure)
		}
	}
	if len(figures) < 10 {
		t.Errorf("the values name %q", figures)
	}
}
