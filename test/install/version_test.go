package install

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func appVersion(t *testing.T) string {
	t.Helper()
	var chart struct{ AppVersion string }
	if err := yaml.Unmarshal([]byte(readFile(t, "charts/registration-policy-operator/Chart.yaml")), &chart); err != nil {
		t.Fatal(err)
	}
	if chart.AppVersion == "" {
		t.Fatal("the chart has no appVersion")
	}
	return chart.AppVersion
}

func TestProgramsManifestsAndChartAgreeOnTheVersion(t *testing.T) {
	t.Parallel()
	release := appVersion(t)
	bin := t.TempDir()
	built := func(args ...string) {
		t.Helper()
		if _, err := output("make", append([]string{"-C", repository, "build", "BIN=" + bin}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	says := func(program string) string {
		t.Helper()
		text, err := output(filepath.Join(bin, program), "--version")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(text)
	}

	built()
	long, found := strings.CutPrefix(says("operator"), "operator ")
	version, _, _ := strings.Cut(long, " ")
	if after, ofRelease := strings.CutPrefix(version, "v"+release); !found || !ofRelease || after != "" && after[0] != '+' {
		t.Errorf("the operator says that it is %q, the chart is of %s", version, release)
	}
	if got := says("regpol"); got != "regpol "+long {
		t.Errorf("regpol says %q, the operator %q", got, long)
	}
	commit, err := output("git", "-C", repository, "log", "-1", "--format=%H")
	if err != nil {
		t.Fatal(err)
	}
	built("VERSION=v9.8.7")
	want := regexp.MustCompile(`^v9\.8\.7 \(commit ` + commit[:12] + `, [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\)$`)
	for _, program := range []string{"operator", "regpol"} {
		if got := strings.TrimPrefix(says(program), program+" "); !want.MatchString(got) {
			t.Errorf("make build VERSION=v9.8.7: %s --version prints %q, want %s", program, got, want)
		}
	}

	for _, file := range []string{"config/manager/deployment.yaml", "config/list-sync/cron_job.yaml", "docs/platform/install.md"} {
		images := regexp.MustCompile(`registrationpolicy-operator:([^ \n]+)`).FindAllStringSubmatch(readFile(t, file), -1)
		if len(images) == 0 {
			t.Errorf("%s names no image", file)
		}
		for _, image := range images {
			if strings.Trim(image[1], "`,.") != release {
				t.Errorf("%s: image %s, the chart is of %s", file, image[0], release)
			}
		}
	}
}
