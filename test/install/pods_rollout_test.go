package install

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// roll creates and deletes pods of a Deployment one at a time, so that there are never fewer ready pods than replicas.
// This is a rolling update with maxSurge 1 and maxUnavailable 0, as in the chart.
func (n *node) roll(ctx context.Context, d *appsv1.Deployment) error {
	if how := d.Spec.Strategy.RollingUpdate; how.MaxSurge.String() != "1" || how.MaxUnavailable.String() != "0" {
		return fmt.Errorf("deployment %s: the stand-in does no other rolling update than 1 more and 0 less: %v", d.Name, how)
	}
	template, err := json.Marshal(d.Spec.Template)
	if err != nil {
		return err
	}
	sum := fnv.New32a()
	_, _ = sum.Write(template)
	hash := fmt.Sprintf("%08x", sum.Sum32())

	var pods corev1.PodList
	selected := client.MatchingLabels(d.Spec.Selector.MatchLabels)
	if err := n.cluster.kube.List(ctx, &pods, client.InNamespace(d.Namespace), selected); err != nil {
		return err
	}
	var current, old []*corev1.Pod
	ready, currentReady := 0, 0
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.DeletionTimestamp != nil || !metav1.IsControlledBy(p, d) {
			continue
		}
		isReady := podReady(p)
		if isReady {
			ready++
		}
		if p.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != hash {
			old = append(old, p)
			continue
		}
		current = append(current, p)
		if isReady {
			currentReady++
		}
	}
	replicas := int(*d.Spec.Replicas)
	total := len(current) + len(old)
	switch {
	case len(current) < replicas && total <= replicas:
		err = n.createPod(ctx, d, hash)
	case len(old) > 0 && ready > replicas:
		err = n.cluster.kube.Delete(ctx, old[0])
	case len(current) > replicas:
		err = n.cluster.kube.Delete(ctx, current[0])
	}
	if err != nil {
		return err
	}
	return n.reportRollout(ctx, d, total, len(current), ready, len(old) == 0 && currentReady == replicas)
}

func (n *node) createPod(ctx context.Context, d *appsv1.Deployment, hash string) error {
	p := &corev1.Pod{ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: *d.Spec.Template.Spec.DeepCopy()}
	p.Namespace, p.GenerateName = d.Namespace, d.Name+"-"+hash+"-"
	p.Labels = maps.Clone(p.Labels)
	p.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
	return n.cluster.kube.Create(ctx, p)
}

// reportRollout writes the status of a Deployment, for which `kubectl rollout status` and `helm --wait` wait.
func (n *node) reportRollout(ctx context.Context, d *appsv1.Deployment, total, updated, ready int, complete bool) error {
	conditions := []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse, Reason: "MinimumReplicasUnavailable"},
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated"},
	}
	if ready >= int(*d.Spec.Replicas) {
		conditions[0].Status, conditions[0].Reason = corev1.ConditionTrue, "MinimumReplicasAvailable"
	}
	if complete {
		conditions[1].Reason = "NewReplicaSetAvailable"
	}
	count := func(n int) int32 { return int32(n) }
	wanted := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: count(total), UpdatedReplicas: count(updated),
		ReadyReplicas: count(ready), AvailableReplicas: count(ready), UnavailableReplicas: count(max(0, int(*d.Spec.Replicas)-ready)),
		Conditions: conditions,
	}
	if same(d.Status, wanted) {
		return nil
	}
	d.Status = wanted
	return n.cluster.kube.Status().Update(ctx, d)
}

// same reports whether two values are equal. Unset and empty count as equal, as in the API server.
func same(a, b any) bool {
	left, err := json.Marshal(a)
	if err != nil {
		return false
	}
	right, err := json.Marshal(b)
	return err == nil && string(left) == string(right)
}

func podReady(p *corev1.Pod) bool {
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
