package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/test/proxies"
)

// reachable are settings with all objects that lead to the hook.
func reachable() settings {
	return given().with(settings{
		"fullnameOverride": "hook", "ingress.enabled": true, "httpRoute.enabled": true, "certificate.enabled": true,
		"certificate.secretName": "hook-certificate",
	})
}

func TestOnlyTheHookIsWithinReachOfAProxyAndOnlyByItsExactPath(t *testing.T) {
	objects := mustRender(t, "try", "okta", reachable())
	for _, test := range []struct {
		kind, name string
		path       []string
		want       string
	}{
		{"Service", "hook", []string{"spec", "ports"}, "name=hook port=80 targetPort=hook"},
		{"Service", "hook-metrics", []string{"spec", "ports"}, "name=metrics port=9090 targetPort=metrics"},
		{"Ingress", "hook", []string{"spec", "rules", "http", "paths"}, "path=/okta/registration pathType=Exact"},
		{"HTTPRoute", "hook", []string{"spec", "rules", "matches"}, "path.type=Exact path.value=/okta/registration"},
	} {
		entries := below([]any{find(t, objects, test.kind, test.name).Object}, test.path...)
		if len(entries) != 1 {
			t.Errorf("%s %s has %d of %v, want one", test.kind, test.name, len(entries), test.path)
			continue
		}
		for field := range strings.FieldsSeq(test.want) {
			name, want, _ := strings.Cut(field, "=")
			got := below(entries, strings.Split(name, ".")...)
			if len(got) != 1 || shown(got[0]) != "`"+want+"`" {
				t.Errorf("%s %s: %s is %v, want %s", test.kind, test.name, name, got, want)
			}
		}
	}
}

// below returns the values at a path below nodes. At a list, it continues in each entry.
func below(nodes []any, path ...string) []any {
	for _, step := range path {
		var next []any
		for _, node := range nodes {
			object, _ := node.(map[string]any)
			switch value := object[step].(type) {
			case nil:
			case []any:
				next = append(next, value...)
			default:
				next = append(next, value)
			}
		}
		nodes = next
	}
	return nodes
}

func TestTheDeploymentRollsWithoutAGapAndFollowsItsSecret(t *testing.T) {
	deployment := find(t, mustRender(t, "try", "okta", reachable().with(settings{"auth.keys": []any{"okta"}})), "Deployment", "hook")
	strategy, _, _ := unstructured.NestedMap(deployment.Object, "spec", "strategy", "rollingUpdate")
	if shown(strategy["maxUnavailable"]) != "`0`" || shown(strategy["maxSurge"]) != "`1`" {
		t.Errorf("the strategy is %v, want maxUnavailable 0 and maxSurge 1", strategy)
	}
	mounts := below([]any{deployment.Object}, "spec", "template", "spec", "containers", "volumeMounts")
	if len(mounts) == 0 {
		t.Error("no volume is mounted")
	}
	for _, mount := range mounts {
		mount := mount.(map[string]any)
		if readOnly := mount["readOnly"] == true; mount["subPath"] != nil || readOnly == (mount["name"] == "snapshot") {
			t.Errorf("%v: by subPath, which would not follow the Secret, or not read-only", mount)
		}
	}
	volumes := below([]any{deployment.Object}, "spec", "template", "spec", "volumes", "secret", "optional")
	if len(volumes) != 1 || volumes[0] != true {
		t.Error("a chosen key that is removed from the Secret stays mounted: its volume is not optional")
	}
	if got := below([]any{deployment.Object}, "spec", "replicas"); len(got) != 1 || shown(got[0]) != "`2`" {
		t.Errorf("replicas: got %v, want 2", got)
	}
	scaled := find(t, mustRender(t, "try", "okta", reachable().with(settings{"autoscaling.enabled": true})), "Deployment", "hook")
	if got := below([]any{scaled.Object}, "spec", "replicas"); len(got) != 0 {
		t.Errorf("with an autoscaler the Deployment says replicas %v too", got)
	}
}

func TestNothingIsClusterScopedButTheCRDAndTheWarnings(t *testing.T) {
	allowed := []string{"CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
	for _, object := range mustRender(t, "try", "okta", reachable().with(settings{"watchNamespaces": []any{"team-a"}})) {
		if object.GetNamespace() == "" && !slices.Contains(allowed, object.GetKind()) {
			t.Errorf("%s is in no namespace", where(object))
		}
		for _, rule := range below([]any{object.Object}, "rules", "resources") {
			if rule == "secrets" {
				t.Errorf("%s gives a right to Secrets", where(object))
			}
		}
	}
}

var flagOf = regexp.MustCompile(`--[a-z][a-z0-9-]+`)

func TestTheProgramsKnowEveryFlagThatTheChartGivesThem(t *testing.T) {
	known := map[string][]string{}
	for name, help := range map[string][]string{
		"Deployment": {"operator", "--help"}, "Pod": {"regpol", "call", "--help"}, "CronJob": {"regpol", "lists", "sync", "--help"},
	} {
		text, err := exec.CommandContext(t.Context(), program(t, help[0]), help[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", help, err, text)
		}
		known[name] = flagOf.FindAllString(string(text), -1)
	}
	for _, choice := range choices {
		for _, s := range choice {
			for _, object := range mustRender(t, "try", switchesNamespace, reachable().with(s).with(settings{
				"certificate.enabled": false, "listSync.enabled": true,
			})) {
				flags, found := known[object.GetKind()]
				if !found {
					continue
				}
				arguments := slices.Concat(below([]any{object.Object}, "spec", "containers", "args"),
					below([]any{object.Object}, "spec", "template", "spec", "containers", "args"),
					below([]any{object.Object}, "spec", "jobTemplate", "spec", "template", "spec", "containers", "args"))
				for _, argument := range arguments {
					flag, _, _ := strings.Cut(argument.(string), "=")
					if strings.HasPrefix(flag, "--") && !slices.Contains(flags, flag) {
						t.Errorf("%s: %s is no flag of the program", where(object), flag)
					}
				}
			}
		}
	}
}

// If the schema accepted a value that the operator refuses, a rollout would never complete. An operator that accepts
// its options fails here at the next step, because there is no cluster.
func TestTheOperatorTakesWhateverTheChartLetsPass(t *testing.T) {
	dir := t.TempDir()
	certificate := proxies.NewCertificate(t, "hook.okta.svc")
	for name, content := range map[string][]byte{
		"hook-auth/okta": []byte(hookCredential), "oauth-ca/ca.crt": certificate.Authority,
		"hook-tls/tls.crt": certificate.Chain, "hook-tls/tls.key": certificate.Key,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cluster := filepath.Join(dir, "no-cluster")
	tried := map[string]bool{}
	for _, choice := range choices {
		for _, s := range choice {
			objects := mustRender(t, "try", switchesNamespace, reachable().with(s).with(settings{
				"fullnameOverride": "hook", "certificate.enabled": false,
			}))
			args := []string{"--kubeconfig=" + cluster, "--namespace=" + switchesNamespace}
			for _, argument := range arguments(t, find(t, objects, "Deployment", "hook")) {
				args = append(args, strings.Replace(argument, "/etc/registration-policy", dir, 1))
			}
			line := strings.Join(args, "\n")
			if tried[line] {
				continue
			}
			tried[line] = true
			if _, err := output(program(t, "operator"), args...); err == nil || !strings.Contains(err.Error(), cluster) {
				t.Errorf("%v: %v", s, err)
			}
		}
	}
}

// PodSecurity "restricted" does not require these two, so only this test notices if they are removed.
func TestEveryContainerHasAReadOnlyRootAndItsResources(t *testing.T) {
	containers := 0
	for _, object := range mustRender(t, "try", "okta", reachable().with(settings{"listSync.enabled": true})) {
		pod := object
		if object.GetKind() != "Pod" {
			if pod = podOf(object); pod == nil {
				continue
			}
		}
		for _, container := range below([]any{pod.Object}, "spec", "containers") {
			containers++
			for field, want := range map[string]string{
				"securityContext.readOnlyRootFilesystem": "`true`", "securityContext.allowPrivilegeEscalation": "`false`",
			} {
				if got := below([]any{container}, strings.Split(field, ".")...); len(got) != 1 || shown(got[0]) != want {
					t.Errorf("%s: %s is %v, want %s", where(object), field, got, want)
				}
			}
			for _, field := range []string{"requests.cpu", "requests.memory", "limits.memory"} {
				if len(below([]any{container}, strings.Split("resources."+field, ".")...)) != 1 {
					t.Errorf("%s: no resources.%s", where(object), field)
				}
			}
			if got := below([]any{container}, "resources", "limits", "cpu"); len(got) > 0 {
				t.Errorf("%s: a CPU limit of %v makes sign-ups wait", where(object), got)
			}
		}
	}
	if containers != 3 {
		t.Errorf("%d containers, want those of the operator, of helm test and of the lists", containers)
	}
}

func TestAReleaseIsSpreadProbedAndFencedInByDefault(t *testing.T) {
	objects := mustRender(t, "try", "okta", needed().with(settings{"fullnameOverride": "hook"}))
	for _, test := range []struct {
		kind string
		path string
		want []string
	}{
		{"Deployment", "spec.template.spec.topologySpreadConstraints.topologyKey", []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"}},
		{"Deployment", "spec.template.spec.containers.startupProbe.httpGet.path", []string{"/startupz"}},
		{"Deployment", "spec.template.spec.containers.readinessProbe.httpGet.path", []string{"/readyz"}},
		{"Deployment", "spec.template.spec.containers.livenessProbe.httpGet.path", []string{"/healthz"}},
		{"PodDisruptionBudget", "spec.maxUnavailable", []string{"1"}},
		{"NetworkPolicy", "spec.policyTypes", []string{"Ingress", "Egress"}},
		{"NetworkPolicy", "spec.ingress.ports.port", []string{"hook", "probes", "metrics"}},
		{"NetworkPolicy", "spec.egress.ports.port", []string{"53", "53", "443", "6443"}},
	} {
		var got []string
		for _, value := range below([]any{find(t, objects, test.kind, "hook").Object}, strings.Split(test.path, ".")...) {
			got = append(got, strings.Trim(shown(value), "`"))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %s is %q, want %q", test.kind, test.path, got, test.want)
		}
	}
	definition := find(t, objects, "CustomResourceDefinition", crdName)
	if got := definition.GetAnnotations()["helm.sh/resource-policy"]; got != "keep" {
		t.Errorf("helm.sh/resource-policy of the CRD is %q, want keep: an uninstall would delete every policy", got)
	}
	scaler := find(t, mustRender(t, "try", "okta", needed().with(settings{"fullnameOverride": "hook", "autoscaling.enabled": true})),
		"HorizontalPodAutoscaler", "hook")
	if got := below([]any{scaler.Object}, "spec", "minReplicas"); len(got) != 1 || shown(got[0]) != "`2`" {
		t.Errorf("minReplicas: got %v, want 2", got)
	}
}
