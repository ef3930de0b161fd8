package proxies

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// block matches a fenced block of the page: its language and its text.
var block = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

func TestThePageShowsWhatWasTested(t *testing.T) {
	page, err := os.ReadFile("../../docs/platform/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string][]string{
		"nginx":   configured(t, "nginx.conf"),
		"haproxy": configured(t, "haproxy.cfg"),
		"traefik": configured(t, traefikFile),
	}
	blocks := block.FindAllStringSubmatch(string(page), -1)
	seen := map[string]int{}
	for _, block := range blocks {
		language, lines := block[1], strings.Split(strings.TrimSpace(block[2]), "\n")
		seen[language]++
		if language == "yaml" {
			language, lines = directivesOf(t, block[2])
			seen[language]++
		}
		for _, line := range lines {
			if !slices.Contains(tested[language], line) {
				t.Errorf("the page has %q, and no test's %s", line, language)
			}
		}
	}
	for _, language := range []string{"yaml", "nginx", "haproxy", "traefik"} {
		if seen[language] == 0 {
			t.Errorf("no block of %s on the page", language)
		}
	}
	for _, option := range []string{"dialTimeout=500ms", "responseHeaderTimeout=2s"} {
		option = "--serversTransport.forwardingTimeouts." + option
		if !slices.Contains((&Proxy{}).traefikArguments(t), option) || !strings.Contains(string(page), "`"+option+"`") {
			t.Errorf("the page and the tests do not both have %s", option)
		}
	}
}

// configured returns the lines of a proxy's configuration in the tests, without indentation.
func configured(t *testing.T, name string) []string {
	t.Helper()
	p := &Proxy{dir: t.TempDir(), options: Options{OneCallAConnection: true, Repeats: true}}
	lines := strings.Split(string(p.rendered(t, name, nil)), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// directivesOf returns the directives that a controller writes for values of the chart, or for an object of its own. It
// returns none for values that mean the same to every controller.
func directivesOf(t *testing.T, text string) (language string, directives []string) {
	t.Helper()
	var values struct {
		Kind string `json:"kind"`
		Spec struct {
			Retry struct {
				Attempts int `json:"attempts"`
			} `json:"retry"`
		} `json:"spec"`
		Ingress struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"ingress"`
	}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	if values.Kind == "Middleware" {
		return "traefik", []string{fmt.Sprintf("attempts: %d", values.Spec.Retry.Attempts)}
	}
	for name, value := range values.Ingress.Annotations {
		switch controller, key, _ := strings.Cut(name, "/"); controller {
		case "nginx.ingress.kubernetes.io":
			language, directives = "nginx", append(directives, strings.ReplaceAll(key, "-", "_")+" "+value+"s;")
		case "haproxy-ingress.github.io":
			language, directives = "haproxy", append(directives, strings.ReplaceAll(key, "-", " ")+" "+value)
		case "traefik.ingress.kubernetes.io": // test/install has the annotation
			language = "traefik"
		default:
			t.Errorf("%s: no controller that is known here", controller)
		}
	}
	return language, directives
}
