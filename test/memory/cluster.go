package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/test/apiserver"
)

// writers is the number of concurrent writes.
const writers = 8

// plane is a kube-apiserver with etcd and the CustomResourceDefinition.
type plane struct {
	env        *envtest.Environment
	client     client.Client
	kubeconfig string
}

func startPlane(dir string) (*plane, error) {
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	env := &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
	}
	env.ControlPlane.GetAPIServer().Configure().Append("max-mutating-requests-inflight", "400")
	cluster, err := apiserver.Start(env)
	if err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	p := &plane{env: env, client: cluster.Kube, kubeconfig: filepath.Join(dir, "kubeconfig")}
	user, err := env.AddUser(envtest.User{Name: "operator", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return p, err
	}
	text, err := user.KubeConfig()
	if err != nil {
		return p, err
	}
	return p, os.WriteFile(p.kubeconfig, text, 0o600)
}

func (p *plane) stop() { _ = p.env.Stop() }

// namespace is a namespace for the objects of a case.
type namespace struct {
	plane *plane
	name  string
}

func (p *plane) namespace(ctx context.Context, name string) (*namespace, error) {
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	return &namespace{p, name}, p.client.Create(ctx, object)
}

// put creates objects, or replaces existing ones.
func (n *namespace) put(ctx context.Context, objects ...client.Object) error {
	queue := make(chan client.Object)
	errs := make(chan error, writers)
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range writers {
		all.Go(func() {
			for object := range queue {
				if err := n.putOne(ctx, object); err != nil {
					errs <- fmt.Errorf("write %s: %w", object.GetName(), err)
					cancel()
					return
				}
			}
		})
	}
	for _, object := range objects {
		select {
		case queue <- object:
		case <-ctx.Done():
		}
	}
	close(queue)
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}

func (n *namespace) putOne(ctx context.Context, object client.Object) error {
	object.SetNamespace(n.name)
	err := n.plane.client.Create(ctx, object)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if shard, is := object.(*corev1.ConfigMap); is && shard.Immutable != nil { // its name is derived from its content
		return nil
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { // the leader writes the status at the same time
		before, _ := object.DeepCopyObject().(client.Object)
		if err := n.plane.client.Get(ctx, client.ObjectKeyFromObject(object), before); err != nil {
			return err
		}
		object.SetResourceVersion(before.GetResourceVersion())
		return n.plane.client.Update(ctx, object)
	})
}

// putList writes a list as `regpol lists sync` does: its shards, then its index. Shards of earlier versions stay.
func (n *namespace) putList(ctx context.Context, name string, text []byte) error {
	objects, err := listconfigmap.Write(name, n.name, text)
	if err != nil {
		return err
	}
	shards, index := objects[:len(objects)-1], objects[len(objects)-1]
	for _, shard := range shards {
		if err := n.put(ctx, shard); err != nil {
			return err
		}
	}
	return n.put(ctx, index)
}

// accepted returns the condition Accepted of a policy's newest generation, or nil if there is none yet.
func (n *namespace) accepted(ctx context.Context, name string) (*metav1.Condition, error) {
	policy := &v1alpha1.RegistrationPolicy{}
	if err := n.plane.client.Get(ctx, client.ObjectKey{Namespace: n.name, Name: name}, policy); err != nil {
		return nil, err
	}
	condition := meta.FindStatusCondition(policy.Status.Conditions, string(v1alpha1.ConditionAccepted))
	if condition == nil || condition.ObservedGeneration != policy.Generation {
		return nil, nil //nolint:nilnil // nil is the documented result
	}
	return condition, nil
}

// clear deletes the objects of a case, so that they do not slow down the API server for the next one.
func (n *namespace) clear(ctx context.Context) error {
	for _, kind := range []client.Object{&v1alpha1.RegistrationPolicy{}, &corev1.ConfigMap{}} {
		if err := n.plane.client.DeleteAllOf(ctx, kind, client.InNamespace(n.name)); err != nil {
			return err
		}
	}
	return nil
}
