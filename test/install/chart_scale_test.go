package install

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// replicas returns spec.replicas of the release's Deployment.
func (c *cluster) replicas(t *testing.T, namespace string) int32 {
	t.Helper()
	deployment := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: namespace, Name: "hook-registration-policy-operator"}
	if err := c.kube.Get(t.Context(), key, deployment); err != nil {
		t.Fatal(err)
	}
	if deployment.Spec.Replicas == nil {
		t.Fatal("the Deployment has no replicas")
	}
	return *deployment.Spec.Replicas
}

// autoscale sets the number of replicas, as the controller of HorizontalPodAutoscalers does.
func (c *cluster) autoscale(t *testing.T, namespace string, replicas int32) {
	t.Helper()
	deployment := &appsv1.Deployment{}
	deployment.Namespace, deployment.Name = namespace, "hook-registration-policy-operator"
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	err := c.kube.SubResource("scale").Update(t.Context(), deployment, client.WithSubResourceBody(scale), client.FieldOwner("kube-controller-manager"))
	if err != nil {
		t.Fatal(err)
	}
}

func TestAutoscalingNeverDropsTheFleetToOneReplica(t *testing.T) {
	const namespace = "autoscaled"
	c := useChartCluster(t)
	c.namespace(t, namespace)
	own := []string{"crds.install=false", "replicaCount=3"}
	on := slices.Concat(own, []string{"autoscaling.enabled=true"})
	wants := func(when string, want int32) {
		t.Helper()
		if got := c.replicas(t, namespace); got != want {
			t.Errorf("%s there are to be %d replicas, want %d", when, got, want)
		}
	}
	c.helm(t, releaseArguments("install", chartDir, namespace, own...)...)
	wants("after the installation", 3)
	c.helm(t, releaseArguments("upgrade", chartDir, namespace, on...)...)
	wants("with autoscaling switched on", 3)
	c.autoscale(t, namespace, 5)
	c.helm(t, releaseArguments("upgrade", chartDir, namespace, slices.Concat(on, []string{"logging.level=debug"})...)...)
	wants("after an upgrade of what the autoscaler made 5", 5)
	c.autoscale(t, namespace, 4)
	c.helm(t, releaseArguments("upgrade", chartDir, namespace, slices.Concat(on, []string{"logging.level=warn"})...)...)
	wants("after the next one, of what it made 4", 4)
	c.autoscale(t, namespace, 5)
	c.helm(t, append(releaseArguments("upgrade", chartDir, namespace, own...), "--force-conflicts")...)
	wants("with autoscaling switched off", 3)
}

// As docs/platform/install.md says, Helm refuses to change a field that another manager has set, and there are two ways to go
// on.
func TestAnUpgradeAfterKubectlScale(t *testing.T) {
	const namespace = "scaled"
	c := useChartCluster(t)
	c.namespace(t, namespace)
	c.helm(t, releaseArguments("install", chartDir, namespace, "crds.install=false")...)
	scale := func() {
		t.Helper()
		c.kubectl(t, "-n", namespace, "scale", "deployment", "hook-registration-policy-operator", "--replicas=4")
	}
	upgrade := releaseArguments("upgrade", chartDir, namespace, "crds.install=false")
	scale()
	_, err := output(program(t, "helm"), append(upgrade, "--kubeconfig", c.kubeconfig)...)
	if err == nil || !strings.Contains(err.Error(), "conflict") || !strings.Contains(err.Error(), ".spec.replicas") {
		t.Fatalf("after kubectl scale, an upgrade: %v", err)
	}
	if got := c.replicas(t, namespace); got != 4 {
		t.Errorf("after the refused upgrade there are to be %d replicas", got)
	}
	c.helm(t, releaseArguments("upgrade", chartDir, namespace, "crds.install=false", "replicaCount=4")...)
	if got := c.replicas(t, namespace); got != 4 {
		t.Errorf("with replicaCount=4 there are to be %d replicas", got)
	}
	c.kubectl(t, "-n", namespace, "scale", "deployment", "hook-registration-policy-operator", "--replicas=5")
	c.helm(t, append(upgrade, "--force-conflicts")...)
	if got := c.replicas(t, namespace); got != 2 {
		t.Errorf("with --force-conflicts there are to be %d replicas, want the chart's 2", got)
	}
}
