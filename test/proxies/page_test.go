package proxies

import (
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
	}
	blocks := block.FindAllStringSubmatch(string(page), -1)
	seen := map[string]int{}
	for _, block := range blocks {
		language, lines := block[1], strings.Split(strings.TrimSpace(block[2]), "\n")
		seen[language]++
		if language == "yaml" {
			language, lines = directivesOf(t, block[2])
		}
		for _, line := range lines {
			if !slices.Contains(tested[language], line) {
				t.Errorf("the page has %q, and no test's %s", line, language)
			}
		}
	}
	for _, language := range []string{"yaml", "nginx", "haproxy"} {
		if seen[language] == 0 {
			t.Errorf("no block of %s on the page", language)
		}
	}
}

// configured returns the lines of a proxy's configuration in the tests, without indentation.
func configured(t *testing.T, name string) []string {
	t.Helper()
	p := &Proxy{dir: t.TempDir(), options: Options{OneCallAConnection: true, Repeats: true}}
	p.configure(t, name, nil)
	text, err := os.ReadFile(p.dir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// directivesOf returns the directives that an Ingress controller writes for the annotations in values of the chart.
func directivesOf(t *testing.T, values string) (language string, directives []string) {
	t.Helper()
	var chart struct {
		Ingress struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"ingress"`
	}
	if err := yaml.UnmarshalStrict([]byte(values), &chart); err != nil {
		t.Fatal(err)
	}
	for name, value := range chart.Ingress.Annotations {
		switch controller, key, _ := strings.Cut(name, "/"); controller {
		case "nginx.ingress.kubernetes.io":
			language, directives = "nginx", append(directives, strings.ReplaceAll(key, "-", "_")+" "+value+"s;")
		case "haproxy-ingress.github.io":
			language, directives = "haproxy", append(directives, strings.ReplaceAll(key, "-", " ")+" "+value)
		default:
			t.Errorf("%s: no controller that is known here", controller)
		}
	}
	return language, directives
}
