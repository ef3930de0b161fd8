package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/controllers"
	"registrationpolicy.dev/operator/rules"
)

// newCluster wires everything that has to do with an API server into one manager. It calls nobody: the API server may be away.
func newCluster(o *options, store *rules.Store, metrics *controllers.Metrics, logger logr.Logger) (ctrl.Manager, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		if o.kubeconfig == "" {
			return nil, errors.New("--kubeconfig: required outside of a pod (or give --policy-dir to run without a cluster)")
		}
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	config = controllers.ClientConfig(config)
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:         scheme,
		Logger:         logger,
		Cache:          controllers.CacheOptions(o.watchNamespaces, metrics),
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return controllers.Mapper(), nil },
		// Main owns the servers, their order of stopping, and the election.
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		LeaderElection:         false,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the cluster: %w", err)
	}
	lists := controllers.NewLists(mgr.GetCache(), metrics)
	rulesReconciler, err := controllers.NewRulesReconciler(mgr.GetCache(), lists, store, o.scopes, metrics, logger.WithName("rules"))
	if err != nil {
		return nil, err
	}
	if err := rulesReconciler.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	statusReconciler, err := controllers.NewStatusReconciler(mgr.GetCache(), mgr.GetClient(),
		mgr.GetEventRecorder("registration-policy-operator"), lists, o.scopes, o.observe, logger.WithName("status"))
	if err != nil {
		return nil, err
	}
	leases, err := coordinationv1.NewForConfigAndClient(rest.AddUserAgent(config, "leader-election"), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	identity, err := replicaIdentity()
	if err != nil {
		return nil, err
	}
	return mgr, mgr.Add(&controllers.Election{
		Leases: leases, Namespace: o.namespace, Name: o.leaseName, Identity: identity,
		Lead: statusReconciler.Run, Metrics: metrics, Logger: logger.WithName("election"),
	})
}

// replicaIdentity is unique even for two processes on one host.
func replicaIdentity() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this replica: %w", err)
	}
	return host + "_" + string(uuid.NewUUID()), nil
}
