package install

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/fixture"
)

// unwatched is a namespace that the operator does not watch, so that it does not change policies in it.
const unwatched = "unwatched"

// Checks on a real API server, with a running operator, that other tools see the states of a policy as the manual says.
func TestWhetherAPolicyIsInForceIsUnderstoodByOtherTools(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	n := startNode(t, c)
	c.namespace(t, released)
	c.namespace(t, unwatched)
	c.secret(t, released, hookSecret, map[string]string{hookKey: hookCredential})
	c.helm(t, "install", "registration-policy-operator", chartDir, "--namespace", released,
		"--set", "replicaCount=1,podDisruptionBudget.enabled=false,auth.existingSecret="+hookSecret)
	script := healthScript(t)

	t.Run("Pending, where no operator looks", func(t *testing.T) {
		pending := c.createPolicy(t, unwatched, "pending", `{allow: {domains: [pending.example]}}`)
		wantHealth(t, script, c.stored(t, pending), health{
			ready: v1alpha1.ReasonPending,
			argo:  "Progressing: No operator has looked at this generation yet.", flux: "InProgress: Pending",
		})
	})
	for _, in := range []struct {
		name, spec string
		want       health
	}{
		{"enforced", `{allow: {domains: [enforced.example]}}`, health{
			ready: v1alpha1.ReasonInForce,
			argo:  "Healthy: All serving replicas decide by this generation.", flux: "Current: ",
		}},
		{"audited", `{mode: Audit, allow: {domains: [audited.example]}}`, health{
			ready: v1alpha1.ReasonEvaluated,
			argo:  "Healthy: All serving replicas evaluate this generation.", flux: "Current: ",
		}},
		{"unlisted", `{allow: {lists: [{configMap: {name: nowhere}}]}}`, health{
			ready: v1alpha1.ReasonNotAccepted,
			argo:  "Degraded: Not all of the spec can be in force: see the condition Accepted.", flux: "InProgress: NotAccepted",
		}},
	} {
		t.Run(fmt.Sprintf("%s, by the operator", in.want.ready), func(t *testing.T) {
			policy := c.createPolicy(t, released, in.name, in.spec)
			fixture.Eventually(t, patience, func() string { return c.lacks(t, policy, "Ready", string(in.want.ready)) })
			wantHealth(t, script, c.stored(t, policy), in.want)

			// Directly after a change, the object has its new generation, and still the conditions of the earlier one.
			changed := c.stored(t, policy)
			patch := client.RawPatch(types.MergePatchType, []byte(`{"spec": {"message": "Not you."}}`))
			if err := c.kube.Patch(t.Context(), changed, patch); err != nil {
				t.Fatal(err)
			}
			wantHealth(t, script, changed, health{
				ready: in.want.ready,
				argo:  "Progressing: No operator has looked at this generation yet.", flux: "InProgress: LatestGenerationNotObserved",
			})
		})
	}
	// States that take up to half a minute to begin or to end.
	for reason, status := range map[v1alpha1.ConditionReason]metav1.ConditionStatus{
		v1alpha1.ReasonRollingOut: metav1.ConditionFalse, v1alpha1.ReasonNoReplica: metav1.ConditionFalse,
		v1alpha1.ReasonReplicaSilent: metav1.ConditionUnknown, v1alpha1.ReasonReplicasUnknown: metav1.ConditionUnknown,
	} {
		t.Run(string(reason)+", as written by the test", func(t *testing.T) {
			policy := c.createPolicy(t, unwatched, strings.ToLower(string(reason)), `{allow: {domains: [written.example]}}`)
			policy.Status.ObservedGeneration = policy.Generation
			meta.SetStatusCondition(&policy.Status.Conditions, metav1.Condition{
				Type: string(v1alpha1.ConditionReady), Status: status, Reason: string(reason), Message: "Said so.",
				ObservedGeneration: policy.Generation,
			})
			if err := c.kube.Status().Update(t.Context(), policy); err != nil {
				t.Fatal(err)
			}
			wantHealth(t, script, c.stored(t, policy), health{ready: reason, argo: "Progressing: Said so.", flux: "InProgress: " + string(reason)})
		})
	}
	t.Run("kubectl wait takes no word of the generation before", func(t *testing.T) { c.wantWaited(t, n) })
}

// health is the state of a policy, as several tools see it.
type health struct {
	ready v1alpha1.ConditionReason // the reason of the condition Ready, also if it is of an earlier generation
	argo  string                   // status and message
	flux  string                   // status and, if Flux waits, the reason
}

func wantHealth(t *testing.T, script string, object *unstructured.Unstructured, want health) {
	t.Helper()
	policy := &v1alpha1.RegistrationPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, policy); err != nil {
		t.Fatal(err)
	}
	got := health{argo: argoHealth(t, script, object)}
	if ready := meta.FindStatusCondition(policy.Status.Conditions, string(v1alpha1.ConditionReady)); ready != nil {
		got.ready = v1alpha1.ConditionReason(ready.Reason)
	}
	result, err := kstatus.Compute(object)
	if err != nil {
		t.Fatal(err)
	}
	got.flux = string(result.Status) + ": "
	for _, condition := range result.Conditions {
		got.flux += condition.Reason
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(health{})); diff != "" {
		t.Error(diff)
	}
}

// wantWaited applies a policy twice. The operator is stopped before the second time, so that the status stays that of
// the first generation for as long as the test needs.
func (c *cluster) wantWaited(t *testing.T, n *node) {
	t.Helper()
	endpoints, err := n.endpoints(t.Context(), released, "registration-policy-operator", "hook")
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("ready behind the Service: %q %v, want one replica", endpoints, err)
	}
	wait := []string{"wait", "--for=condition=Ready", "registrationpolicy/try", "--namespace", released}

	c.applyFile(t, policy(t, released, `{allow: {domains: [before.example]}}`))
	c.kubectl(t, append(wait, "--timeout=60s")...)
	if err := callHook(t, endpoints[0], "jo@before.example"); err != nil {
		t.Errorf("Ready, and yet: %v", err)
	}

	n.signal(t, released, syscall.SIGSTOP)
	c.applyFile(t, policy(t, released, `{allow: {domains: [after.example]}}`))
	old := c.kubectl(t, "get", "registrationpolicy/try", "--namespace", released, "--output",
		`jsonpath={.metadata.generation}{range .status.conditions[?(@.type=="Ready")]} {.status} {.observedGeneration}{end}`)
	if want := "2 True 1"; old != want {
		t.Fatalf("the generation, Ready, and of which generation: %q, want %q", old, want)
	}
	_, err = output(program(t, "kubectl"), append(wait, "--timeout=1s", "--kubeconfig", c.kubeconfig)...)
	if want := "timed out waiting for the condition on registrationpolicies/try"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("while nobody looks at the new generation: got %v, want %q", err, want)
	}
	n.signal(t, released, syscall.SIGCONT)
	c.kubectl(t, append(wait, "--timeout=60s")...)
	if err := callHook(t, endpoints[0], "jo@after.example"); err != nil {
		t.Errorf("Ready, and yet: %v", err)
	}
	if err := callHook(t, endpoints[0], "jo@before.example"); err == nil {
		t.Error("Ready, and yet the generation before decides")
	}
}

// applyFile is `kubectl apply`, from a file.
func (c *cluster) applyFile(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, "apply", "-f", file)
}

// createPolicy creates a policy with a spec in YAML.
func (c *cluster) createPolicy(t *testing.T, namespace, name, spec string) *v1alpha1.RegistrationPolicy {
	t.Helper()
	object := policy(t, namespace, spec)
	object.SetName(name)
	created := &v1alpha1.RegistrationPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, created); err != nil {
		t.Fatal(err)
	}
	if err := c.kube.Create(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	return created
}

// stored returns a policy from the API server as an unstructured object.
func (c *cluster) stored(t *testing.T, policy *v1alpha1.RegistrationPolicy) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicy"))
	if err := c.kube.Get(t.Context(), client.ObjectKeyFromObject(policy), object); err != nil {
		t.Fatal(err)
	}
	return object
}
