package release

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/test/assets"
)

const chart = "registration-policy-operator"

func TestTheChartHasTheVersionAndTheImageOfTheRelease(t *testing.T) {
	archive := filepath.Join(dist(t), chart+"-"+plain+".tgz")
	var metadata struct{ Version, AppVersion string }
	if err := yaml.Unmarshal([]byte(runHelm(t, "show", "chart", archive)), &metadata); err != nil {
		t.Fatal(err)
	}
	if metadata.Version != plain || metadata.AppVersion != plain {
		t.Errorf("%+v", metadata)
	}
	text := runHelm(t, "template", "hook", archive, "--set", "auth.existingSecret=hook-auth")
	for _, want := range []string{"registrationpolicy-operator:" + plain + "\n", "helm.sh/chart: " + chart + "-" + plain} {
		if !strings.Contains(strings.ReplaceAll(text, `"`, ""), want) {
			t.Errorf("the rendered chart lacks %s", want)
		}
	}
	runHelm(t, "lint", "--strict", archive, "--set", "auth.existingSecret=hook-auth")
}

// serveRegistry serves a registry in memory, and returns its address.
func serveRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push pushes a layout with the command that docs/releasing.md has.
func push(t *testing.T, layout, reference string) {
	t.Helper()
	mustOutput(t, "go", "-C", filepath.Join(repository, "tools", "release"), "tool", "crane", "push", "--insecure", layout, reference)
}

func TestTheImageCanBePushedAndPulledByPlatform(t *testing.T) {
	repository := serveRegistry(t) + "/okta/registrationpolicy-operator"
	push(t, filepath.Join(dist(t), "image"), repository+":"+plain)
	reference, err := name.ParseReference(repository + ":" + plain)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := remote.Get(reference)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(readFile(t, dist(t), "image.digest"))); pushed.Digest.String() != want {
		t.Errorf("the registry has %s, want %s", pushed.Digest, want)
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		image, err := remote.Image(reference, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil || config.Architecture != architecture {
			t.Errorf("pulled for %s: %+v, %v", architecture, config, err)
		}
	}
}

// startCluster starts a control plane, and returns the path of its kubeconfig.
func startCluster(t *testing.T) string {
	t.Helper()
	plane := &envtest.Environment{}
	if _, err := plane.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, plane.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

func TestARealAPIServerTakesTheManifestsAndTheChart(t *testing.T) {
	kubeconfig := startCluster(t)
	kubectl := func(args ...string) string {
		t.Helper()
		return mustOutput(t, filepath.Join(os.Getenv(assets.Variable), "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	}
	image := "{.spec.template.spec.containers[0].image}"

	kubectl("create", "namespace", "registration-policy")
	kubectl("apply", "--server-side", "-f", filepath.Join(dist(t), "crd.yaml"))
	kubectl("wait", "--for=condition=Established", "crd/registrationpolicies.registrationpolicy.dev", "--timeout=30s")
	kubectl("apply", "--server-side", "-f", filepath.Join(dist(t), "install.yaml"))
	kubectl("apply", "--namespace", "registration-policy", "-f", filepath.Join(repository, "config", "samples", "one-company.yaml"))
	get := []string{"--namespace", "registration-policy", "get", "deployment", "registration-policy-operator", "-o", "jsonpath=" + image}
	if got := kubectl(get...); !strings.HasSuffix(got, "registrationpolicy-operator:"+plain) {
		t.Errorf("install.yaml has the image %s", got)
	}
	kubectl("delete", "-f", filepath.Join(dist(t), "install.yaml"))
	if got := kubectl("get", "regpol", "-A", "-o", "name"); !strings.Contains(got, "registrationpolicy.registrationpolicy.dev/") {
		t.Errorf("the deletion of install.yaml deleted the policies: %q", got)
	}

	kubectl("create", "namespace", "by-helm")
	from := serveRegistry(t) + "/charts/" + chart
	push(t, filepath.Join(dist(t), "chart"), from+":"+plain)
	runHelm(t, "install", "hook", "oci://"+from, "--plain-http", "--version", plain, "--namespace", "by-helm", "--kubeconfig", kubeconfig,
		"--set", "auth.existingSecret=hook-auth", "--set", "crds.install=false")
	get = []string{"--namespace", "by-helm", "get", "deployment", "hook-" + chart, "-o", "jsonpath=" + image}
	if got := kubectl(get...); !strings.HasSuffix(got, "registrationpolicy-operator:"+plain) {
		t.Errorf("the chart from the registry has the image %s", got)
	}
}
