package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/config/crd"
	"registrationpolicy.dev/operator/controllers"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

const (
	namespace = "default"
	edited    = "edited" // the policy that is edited
)

var policies = v1alpha1.GroupVersion.WithResource("registrationpolicies")

// cluster is a control plane with a bare informer and the operator's rules controller. Each has its own watch.
type cluster struct {
	store  *rules.Store
	client dynamic.ResourceInterface
	seen   chan delivery
	stop   func() error
}

// startCluster returns a cluster with the edited policy and a number of others, after both watches have delivered them.
func startCluster(ctx context.Context, others int) (_ *cluster, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set: write the directory that test/controlplane/provide.sh prints")
	}
	ctrl.SetLogger(logr.Discard())
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(crd.RegistrationPolicies, definition); err != nil {
		return nil, fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	environment := &envtest.Environment{CRDs: []*apiextensionsv1.CustomResourceDefinition{definition}}
	config, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	defer func() {
		if err != nil {
			err = firstOf(err, environment.Stop())
		}
	}()
	config.QPS = -1 // no client-side rate limit

	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c := &cluster{
		store:  &rules.Store{},
		client: client.Resource(policies).Namespace(namespace),
		seen:   make(chan delivery, 1),
	}
	for i := range others {
		if err := c.create(ctx, fmt.Sprintf("other-%04d", i), fmt.Sprintf("company-%04d.example.org", i)); err != nil {
			return nil, err
		}
	}
	if err := c.create(ctx, edited, domain(-1)); err != nil {
		return nil, err
	}

	watching, stopWatching := context.WithCancel(ctx)
	if err := c.inform(watching, client); err != nil {
		stopWatching()
		return nil, err
	}
	ended, err := c.control(watching, config)
	if err != nil {
		stopWatching()
		return nil, err
	}
	c.stop = func() error {
		stopWatching()
		return firstOf(<-ended, environment.Stop())
	}
	if err := c.await(ctx, domain(-1)); err != nil {
		return nil, firstOf(err, c.stop())
	}
	return c, nil
}

func (c *cluster) create(ctx context.Context, name, allowed string) error {
	_, err := c.client.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "RegistrationPolicy",
		"metadata":   map[string]any{"name": name},
		"spec":       map[string]any{"allow": map[string]any{"domains": []any{allowed}}},
	}}, metav1.CreateOptions{})
	return err
}

// inform starts a bare client-go informer.
func (c *cluster) inform(ctx context.Context, client dynamic.Interface) error {
	informer := dynamicinformer.NewFilteredDynamicInformer(
		client, policies, namespace, 0, toolscache.Indexers{}, nil,
	).Informer()
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, updated any) { c.deliver(ctx, updated) },
	}); err != nil {
		return err
	}
	go informer.RunWithContext(ctx)
	if !toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("the informer did not sync")
	}
	return nil
}

// control starts the operator's rules controller. The channel gets the result of its end.
func (c *cluster) control(ctx context.Context, config *rest.Config) (<-chan error, error) {
	registry, logger := prometheus.NewRegistry(), logr.Discard()
	mgr, err := ctrl.NewManager(config, ctrl.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		return nil, err
	}
	tracker, metrics := freshness.New(registry, []string{namespace}, logger), publish.NewMetrics(registry)
	watches, err := informers.New(config, mgr.GetAPIReader(), tracker, nil)
	if err != nil {
		return nil, err
	}
	reconciler, err := controllers.NewRulesReconciler(controllers.RulesOptions{
		Watches: watches, Tracker: tracker, Lists: publish.NewLists(metrics), Metrics: metrics,
		Publisher: publish.New(publish.Options{Namespaces: []string{namespace}, Store: c.store, Metrics: metrics, Logger: logger}),
	})
	if err != nil {
		return nil, err
	}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	return ended, nil
}
