package install

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// endpointsSpread is the time for a change of a pod's readiness to reach every proxy, through kubelet,
	// EndpointSlice controller, kube-proxy and Ingress controller. It usually takes about one second.
	endpointsSpread = 5 * time.Second
	// closing is the time that a process needs to end after its drain delay and shutdown timeout.
	closing = 5 * time.Second
	// oktaWaits is how long Okta waits for an answer.
	oktaWaits = 3 * time.Second
	// startupWait is how long a request to /startupz waits for readiness at most.
	startupWait = 8 * time.Second
	// progressDeadline is the default of a Deployment's progressDeadlineSeconds.
	progressDeadline = 10 * time.Minute
)

// decoded converts an object to its Go type.
func decoded[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	text, err := yaml.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	typed := new(T)
	if err := yaml.UnmarshalStrict(text, typed); err != nil {
		t.Fatal(err)
	}
	return typed
}

// durationOf returns the value of a flag in the container's arguments.
func durationOf(t *testing.T, container *corev1.Container, flag string) time.Duration {
	t.Helper()
	for _, argument := range container.Args {
		if text, found := strings.CutPrefix(argument, flag+"="); found {
			duration, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			return duration
		}
	}
	t.Fatalf("no %s among %q", flag, container.Args)
	return 0
}

func seconds[N int32 | int64](n N) time.Duration { return time.Duration(n) * time.Second }

// detection is the longest time from when a probe begins to fail until that has an effect, if each answer comes at
// once.
func detection(probe *corev1.Probe) time.Duration {
	return seconds(probe.PeriodSeconds * probe.FailureThreshold)
}

// The times must allow this order: a pod becomes unready, proxies get the change, the process ends, and only then would
// the kubelet kill it. The test checks it with the smallest and the largest values that the chart accepts.
func TestUnreadyThenDrainedThenClosedFitWithinAPodsLife(t *testing.T) {
	c := useChartCluster(t)
	c.namespace(t, "lives")
	for name, s := range map[string]settings{
		"the defaults": {},
		"the least":    {"drainDelay": "9s", "shutdownTimeout": "3s"},
		"the most":     {"drainDelay": "5m", "shutdownTimeout": "5m"},
		"in minutes":   {"drainDelay": "1m30s", "shutdownTimeout": "2m"},
		"autoscaled":   {"drainDelay": "90s", "autoscaling.enabled": true},
	} {
		t.Run(name, func(t *testing.T) {
			object := find(t, mustRender(t, "try", "lives", needed().with(s).with(settings{"fullnameOverride": "hook"})), "Deployment", "hook")
			deployment := decoded[appsv1.Deployment](t, object)
			pod := &deployment.Spec.Template.Spec
			container := &pod.Containers[0]
			drain, shutdown := durationOf(t, container, "--drain-delay"), durationOf(t, container, "--shutdown-timeout")

			if unready := detection(container.ReadinessProbe); unready+endpointsSpread > drain {
				t.Errorf("proxies hear %s after the stop begins, the pod closes after %s", unready+endpointsSpread, drain)
			}
			if grace := seconds(*pod.TerminationGracePeriodSeconds); drain+shutdown+closing > grace {
				t.Errorf("it needs %s to stop, and is killed after %s", drain+shutdown+closing, grace)
			}
			if shutdown < oktaWaits {
				t.Errorf("a call in flight is cut off after %s, and Okta waits %s", shutdown, oktaWaits)
			}
			if dead, unready := detection(container.LivenessProbe), detection(container.ReadinessProbe); dead <= unready {
				t.Errorf("it is restarted after %s, and unready after %s", dead, unready)
			}
			if startup := container.StartupProbe; seconds(startup.TimeoutSeconds) <= startupWait || detection(startup) < detection(container.LivenessProbe) {
				t.Errorf("the startup probe ends after %s, and /startupz waits %s; it has %s, and the liveness probe %s",
					seconds(startup.TimeoutSeconds), startupWait, detection(startup), detection(container.LivenessProbe))
			}
			ready := seconds(deployment.Spec.MinReadySeconds)
			if ready < drain {
				t.Errorf("an old pod is told to go %s after a new one is ready; proxies have %s to hear that one goes", ready, drain)
			}
			if deployment.Spec.ProgressDeadlineSeconds != nil || 2*ready > progressDeadline {
				t.Errorf("a new pod counts %s after it is ready, and the rollout fails after %s", ready, progressDeadline)
			}
			if how := deployment.Spec.Strategy.RollingUpdate; how.MaxUnavailable.IntValue() != 0 || how.MaxSurge.IntValue() < 1 {
				t.Errorf("a rolling update goes below the number of replicas: %v", how)
			}
			apply := client.ApplyConfigurationFromUnstructured(object)
			if err := c.kube.Apply(t.Context(), apply, client.DryRunAll, client.FieldOwner("chart"), client.ForceOwnership); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheDisruptionBudgetLeavesAReplica(t *testing.T) {
	for name, s := range map[string]settings{
		"two":                            {},
		"two, by half":                   {"podDisruptionBudget.maxUnavailable": "50%"},
		"three, by two thirds":           {"replicaCount": 3, "podDisruptionBudget.maxUnavailable": "66%"},
		"a hundred, by nearly all":       {"replicaCount": 100, "podDisruptionBudget.maxUnavailable": "99%"},
		"what the autoscaler leaves":     {"replicaCount": 1, "autoscaling.enabled": true, "autoscaling.minReplicas": 3},
		"as many as the autoscaler lets": {"autoscaling.enabled": true, "autoscaling.minReplicas": 5, "podDisruptionBudget.maxUnavailable": 4},
	} {
		t.Run(name, func(t *testing.T) {
			objects := mustRender(t, "try", "okta", needed().with(s).with(settings{"fullnameOverride": "hook"}))
			budget := decoded[policyv1.PodDisruptionBudget](t, find(t, objects, "PodDisruptionBudget", "hook"))
			replicas := 0
			if deployment := decoded[appsv1.Deployment](t, find(t, objects, "Deployment", "hook")); deployment.Spec.Replicas != nil {
				replicas = int(*deployment.Spec.Replicas)
			} else {
				scaler := find(t, objects, "HorizontalPodAutoscaler", "hook")
				least, _, _ := unstructured.NestedFloat64(scaler.Object, "spec", "minReplicas")
				whole, _, _ := unstructured.NestedInt64(scaler.Object, "spec", "minReplicas")
				replicas = max(int(least), int(whole))
			}
			gone, err := intstr.GetScaledValueFromIntOrPercent(budget.Spec.MaxUnavailable, replicas, true) // as the controller does
			if err != nil {
				t.Fatal(err)
			}
			if replicas < 2 || gone < 1 || gone >= replicas {
				t.Errorf("%d of %d replicas may go at once", gone, replicas)
			}
		})
	}
}
