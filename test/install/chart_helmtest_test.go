package install

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/test/proxies"
)

// checkedReleases are releases by their namespaces. `helm test` must pass for each.
var checkedReleases = map[string]settings{
	"plain":  {},
	"keys":   {"auth.keys": []any{"next", "okta"}, "auth.header": "X-Registration-Hook-Key"},
	"tls":    {"hook.tls.existingSecret": "hook-tls", "hook.path": "/", "hook.port": 8443},
	"tokens": oauthSettings.with(settings{"auth.existingSecret": ""}),
	"tlstok": oauthSettings.with(settings{"auth.existingSecret": "", "hook.tls.existingSecret": "hook-tls"}),
	"both":   oauthSettings.with(settings{"auth.header": "X-Registration-Hook-Key"}),
	"health": {
		"hook.healthPath": "/healthz", "service.port": 8000, "networkPolicy.hookFrom": []any{map[string]any{"podSelector": map[string]any{}}},
	},
	"healtls": {"hook.healthPath": "/", "hook.tls.existingSecret": "hook-tls"},
	"sources": {
		"watchNamespaces": []any{"sources", "sources-team"}, "namespaceSources": map[string]any{"sources-team": []any{"rul1"}},
		"addressAttributes": []any{"workEmail", "login"},
	},
	"observe": {"observe": true, "fenceAfter": "30s", "snapshot.enabled": false},
	"cloud": openShift().with(settings{
		"fullnameOverride": "hook", "commonLabels": map[string]any{"team": "identity"}, "service.type": "NodePort",
		"metrics.service.enabled": false, "networkPolicy.enabled": false, "extraEnv": []any{map[string]any{"name": "REGISTRATION_POLICY_MAX_IN_FLIGHT", "value": "7"}},
	}),
}

// install installs a release of one replica.
func (c *cluster) install(t *testing.T, namespace string, s settings) {
	t.Helper()
	text, err := yaml.Marshal(needed().with(settings{
		"replicaCount": 1, "podDisruptionBudget.enabled": false, "crds.install": false,
	}).with(s).values())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.helm(t, "install", "hook", filepath.FromSlash(chartDir), "--namespace", namespace, "--values", file, "--wait")
}

// Each release runs as real processes that read a real API server, and helm runs the command of the test's pod against it.
func TestHelmTestPassesForEveryKindOfRelease(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	n := startNode(t, c)
	c.kubectl(t, "apply", "--server-side", "-f", filepath.FromSlash(chartDir+"/files/crd.yaml"))
	c.namespace(t, "sources-team")
	for namespace, s := range checkedReleases {
		c.namespace(t, namespace)
		name := "hook-registration-policy-operator"
		if s["fullnameOverride"] != nil {
			name = s["fullnameOverride"].(string)
		}
		certificate := proxies.NewCertificate(t, name+"."+namespace+".svc")
		c.secret(t, namespace, "registration-hook-auth", map[string]string{hookKey: hookCredential, "next": hookCredential + "-next"})
		c.secret(t, namespace, "hook-tls", map[string]string{
			"tls.crt": string(certificate.Chain), "tls.key": string(certificate.Key), "ca.crt": string(certificate.Authority),
		})
		c.install(t, namespace, s)
		t.Run(namespace, func(t *testing.T) {
			if text := c.helm(t, "test", "hook", "--namespace", namespace, "--timeout", "1m"); !strings.Contains(text, "Succeeded") {
				t.Errorf("helm test says\n%s", text)
			}
			n.wantHealth(t, namespace, s)
		})
		c.helm(t, "uninstall", "hook", "--namespace", namespace, "--wait")
	}
}

// wantHealth checks that the pod of a release answers at the health path, if there is one, and at no other.
func (n *node) wantHealth(t *testing.T, namespace string, s settings) {
	t.Helper()
	endpoints, err := n.endpoints(t.Context(), namespace, n.service(t, namespace), "hook")
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("endpoints %v, %v", endpoints, err)
	}
	scheme := "http"
	if s["hook.tls.existingSecret"] != nil {
		scheme = "https"
	}
	insecure := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, //nolint:gosec // helm test checks the certificate
	}}
	defer insecure.CloseIdleConnections()
	for _, path := range []string{"/healthz", "/readyz", "/"} {
		response, err := insecure.Get(scheme + "://" + endpoints[0] + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		want := http.StatusNotFound
		switch path {
		case s["hook.healthPath"]:
			want = http.StatusOK
		case s["hook.path"]:
			want = http.StatusMethodNotAllowed
		}
		if response.StatusCode != want {
			t.Errorf("GET %s by %s: status %d, want %d", path, response.Proto, response.StatusCode, want)
		}
	}
}

// service returns the name of the hook's Service.
func (n *node) service(t *testing.T, namespace string) string {
	t.Helper()
	var list corev1.ServiceList
	if err := n.cluster.kube.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, service := range list.Items {
		if slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == "hook" }) {
			return service.Name
		}
	}
	t.Fatal("no Service of a hook")
	return ""
}

// A test that passes whatever happens would be worth nothing.
func TestHelmTestFailsForAHookThatOktaCouldNotUse(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	startNode(t, c)
	c.kubectl(t, "apply", "--server-side", "-f", filepath.FromSlash(chartDir+"/files/crd.yaml"))
	right := proxies.NewCertificate(t, "hook-registration-policy-operator.tls.svc")
	wrong := proxies.NewCertificate(t, "hook-registration-policy-operator.tls.svc")
	for namespace, test := range map[string]struct {
		given settings
		says  string
	}{
		"tls": {settings{"hook.tls.existingSecret": "hook-tls"}, "IncompleteChain"},
		// The operator accepts all keys but ignores the one that is too short, which the test sends.
		"key": {settings{"auth.keys": []any{"short", hookKey}}, "Unauthorized"},
	} {
		t.Run(namespace, func(t *testing.T) {
			c.namespace(t, namespace)
			c.secret(t, namespace, "registration-hook-auth", map[string]string{hookKey: hookCredential, "short": "0123"})
			c.secret(t, namespace, "hook-tls", map[string]string{
				"tls.crt": string(right.Chain), "tls.key": string(right.Key), "ca.crt": string(wrong.Authority),
			})
			c.install(t, namespace, test.given)
			text, err := output(program(t, "helm"), "test", "hook", "--namespace", namespace, "--timeout", "1m", "--kubeconfig", c.kubeconfig)
			if err == nil {
				t.Fatalf("helm test passes:\n%s", text)
			}
			var pod corev1.Pod
			key := client.ObjectKey{Namespace: namespace, Name: "hook-registration-policy-operator-call"}
			if err := c.kube.Get(t.Context(), key, &pod); err != nil {
				t.Fatal(err)
			}
			status, err := json.Marshal(pod.Status)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(status), test.says) {
				t.Errorf("the pod does not name %s: %s", test.says, status)
			}
		})
	}
}
