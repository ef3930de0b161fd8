package install

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nodeName is the name of the node on which all pods run.
const nodeName = "stand-in"

// node simulates the parts of a cluster that kube-apiserver lacks. It creates the pods of Deployments, as
// kube-controller-manager does, binds them, as the scheduler does, and writes EndpointSlices. It runs the containers,
// as a kubelet does, but as processes of this machine, because the test needs no container engine.
//
// Differences from a container: each port of a pod is a free port of 127.0.0.1, and mounts are in a directory of the
// test. Both are replaced in the arguments. The readiness probe runs more often. User, read-only root, resources and
// minReadySeconds have no effect. Everything else is as in the chart: command, arguments, environment, Secrets, probes,
// grace period, and the token of the ServiceAccount.
type node struct {
	cluster *cluster
	dir     string

	mu   sync.Mutex
	pods map[types.UID]*pod
}

// startNode runs the cluster's pods until the end of the test.
func startNode(t testing.TB, c *cluster) *node {
	t.Helper()
	program(t, "operator") // builds the programs before something waits for a pod
	n := &node{cluster: c, dir: t.TempDir(), pods: map[types.UID]*pod{}}
	n.serveLogs(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			// A conflict shows that another client wrote the object in between. The next turn reads it again.
			if err := n.turn(ctx); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) {
				t.Errorf("node: %v", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		for _, p := range n.pods {
			p.kill()
			if t.Failed() {
				t.Logf("log of %s:\n%s", p.key, p.log.String())
			}
		}
	})
	return n
}

// turn does one step of each simulated controller.
func (n *node) turn(ctx context.Context) error {
	var deployments appsv1.DeploymentList
	if err := n.cluster.kube.List(ctx, &deployments); err != nil {
		return err
	}
	owners := map[types.UID]bool{}
	for i := range deployments.Items {
		owners[deployments.Items[i].UID] = true
		if err := n.roll(ctx, &deployments.Items[i]); err != nil {
			return err
		}
	}
	var pods corev1.PodList
	if err := n.cluster.kube.List(ctx, &pods); err != nil {
		return err
	}
	seen := map[types.UID]bool{}
	for i := range pods.Items {
		object := &pods.Items[i]
		seen[object.UID] = true
		owner := metav1.GetControllerOf(object)
		var err error
		if owner != nil && !owners[owner.UID] && object.DeletionTimestamp == nil {
			err = n.cluster.kube.Delete(ctx, object) // as the garbage collector does
		} else {
			err = n.keep(ctx, object)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("pod %s/%s: %w", object.Namespace, object.Name, err)
		}
	}
	for uid, p := range n.pods {
		if !seen[uid] { // deleted without a grace period
			p.kill()
			n.forget(uid)
		}
	}
	return n.publishEndpoints(ctx)
}

// keep does for a pod what a scheduler and a kubelet do.
func (n *node) keep(ctx context.Context, object *corev1.Pod) error {
	p := n.pods[object.UID]
	switch {
	case object.DeletionTimestamp != nil:
		if p != nil && !p.stop(time.Duration(*object.DeletionGracePeriodSeconds)*time.Second) {
			return nil
		}
		n.forget(object.UID)
		return n.cluster.kube.Delete(ctx, object, client.GracePeriodSeconds(0))
	case object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed:
		return nil
	case object.Spec.NodeName == "":
		return n.cluster.kube.SubResource("binding").Create(ctx, object,
			&corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: nodeName}})
	case p == nil:
		p, err := n.startPod(ctx, object)
		if err != nil {
			return err
		}
		n.mu.Lock()
		n.pods[object.UID] = p
		n.mu.Unlock()
		return n.report(ctx, object, p)
	case p.lostItsPort():
		n.forget(object.UID) // the next turn starts it with other ports
		return nil
	default:
		return errors.Join(n.writeVolumes(ctx, object, p.dir), n.report(ctx, object, p))
	}
}

func (n *node) forget(uid types.UID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pods, uid)
}
