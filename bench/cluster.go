package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/config/crd"
	"registrationpolicy.dev/operator/internal/listconfigmap"
)

const (
	namespace = "default"
	bigList   = "big" // the name of the list
)

var (
	policies   = v1alpha1.GroupVersion.WithResource("registrationpolicies")
	configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")
)

// cluster is a control plane with the CustomResourceDefinition.
type cluster struct {
	plane      *envtest.Environment
	config     *rest.Config
	client     dynamic.Interface
	kubeconfig []byte // of an administrator
}

func startCluster() (_ *cluster, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set: write the directory that test/controlplane/provide.sh prints")
	}
	ctrl.SetLogger(logr.Discard())
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(crd.RegistrationPolicies, definition); err != nil {
		return nil, fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	c := &cluster{plane: &envtest.Environment{CRDs: []*apiextensionsv1.CustomResourceDefinition{definition}}}
	if c.config, err = c.plane.Start(); err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.plane.Stop())
		}
	}()
	c.config.QPS = -1 // no client-side rate limit
	if c.client, err = dynamic.NewForConfig(c.config); err != nil {
		return nil, err
	}
	user, err := c.plane.AddUser(envtest.User{Name: "bench", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return nil, err
	}
	c.kubeconfig, err = user.KubeConfig()
	return c, err
}

func (c *cluster) stop() error { return c.plane.Stop() }

func (c *cluster) policies() dynamic.ResourceInterface {
	return c.client.Resource(policies).Namespace(namespace)
}

// create creates a policy.
func (c *cluster) create(ctx context.Context, name string, spec map[string]any) error {
	_, err := c.policies().Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "RegistrationPolicy",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}, metav1.CreateOptions{})
	return err
}

// createOthers creates policies that allow other domains than the calls have.
func (c *cluster) createOthers(ctx context.Context, n int) error {
	const clients = 8
	var group sync.WaitGroup
	errs := make([]error, clients)
	for client := range clients {
		group.Go(func() {
			for i := client; i < n && errs[client] == nil; i += clients {
				errs[client] = c.create(ctx, fmt.Sprintf("other-%05d", i), allowSpec(fmt.Sprintf("other-%05d.example.org", i)))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// allow makes a policy allow one domain.
func (c *cluster) allow(ctx context.Context, name, domain string) (*unstructured.Unstructured, error) {
	patch := fmt.Sprintf(`{"spec":{"allow":{"domains":[%q]}}}`, domain)
	return c.policies().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
}

func allowSpec(domain string) map[string]any {
	return map[string]any{"allow": map[string]any{"domains": []any{domain}}}
}

// createListing creates a policy that denies the domains of the big list.
func (c *cluster) createListing(ctx context.Context) error {
	return c.create(ctx, "listing", map[string]any{"deny": map[string]any{
		"lists": []any{map[string]any{"configMap": map[string]any{"name": bigList}}},
	}})
}

// writeList writes a version of the big list with a number of entries, its parts before their index.
func (c *cluster) writeList(ctx context.Context, entries, version int) error {
	var text []byte
	for i := range entries {
		text = fmt.Appendf(text, "listed-%06d-%d.example\n", i, version)
	}
	objects, err := listconfigmap.Write(bigList, namespace, text)
	if err != nil {
		return err
	}
	for _, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return err
		}
		content["apiVersion"], content["kind"] = "v1", "ConfigMap"
		if _, err := c.client.Resource(configMaps).Namespace(namespace).Apply(ctx, object.Name,
			&unstructured.Unstructured{Object: content}, metav1.ApplyOptions{FieldManager: "bench", Force: true}); err != nil {
			return err
		}
	}
	return nil
}
