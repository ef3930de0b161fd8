package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/controllers"
	"registrationpolicy.dev/operator/internal/election"
	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/replica"
	"registrationpolicy.dev/operator/internal/storedsnapshot"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/internal/version"
	"registrationpolicy.dev/operator/rules"
)

// cluster is the policy source of an operator in a cluster. It reads policies from the API server, and reports to the
// other replicas.
type cluster struct {
	manager   ctrl.Manager
	tracker   *freshness.Tracker
	publisher *publish.Publisher
	replica   *replica.Replica
	stored    *storedsnapshot.Keeper // nil without --snapshot-dir
}

// newCluster wires everything that uses the API server. It makes no request, because the API server may be unreachable.
func newCluster(o *options, store *rules.Store, registry prometheus.Registerer, logger logr.Logger) (*cluster, error) {
	config, err := clientConfig(o.kubeconfig)
	if err != nil {
		if o.kubeconfig == "" {
			return nil, errors.New("--kubeconfig: required outside of a pod (or give --policy-dir to run without a cluster)")
		}
		return nil, fmt.Errorf("--kubeconfig: %w", usage.Kubeconfig(err))
	}
	config = policyobject.ClientConfig(config)
	responses := storedsnapshot.NewResponseMonitor()
	if o.snapshotDir != "" {
		responses.Instrument(config)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme),
		discoveryv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:         scheme,
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return policyobject.Mapper(), nil },
		// The manager runs none of these: operator.run runs the servers, to stop them in order, and package election
		// runs the election.
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		LeaderElection:         false,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the cluster: %w", err)
	}
	metrics, fleetMetrics, publishMetrics := election.NewMetrics(registry), fleet.NewMetrics(registry), publish.NewMetrics(registry)
	tracker := freshness.New(registry, o.watchNamespaces, logger.WithName("watch"))
	watches, err := informers.New(config, mgr.GetAPIReader(), tracker, o.limits)
	if err != nil {
		return nil, err
	}
	publisher := publish.New(publish.Options{
		Namespaces: o.watchNamespaces, Bound: o.scopes.Bound, Store: store, Metrics: publishMetrics, Logger: logger.WithName("rules"),
	})
	rulesReconciler, err := controllers.NewRulesReconciler(controllers.RulesOptions{
		Watches: watches, Tracker: tracker, Lists: publish.NewLists(publishMetrics), Publisher: publisher,
		Limits: o.limits, Metrics: publishMetrics,
	})
	if err != nil {
		return nil, err
	}
	if err := rulesReconciler.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	stored, err := o.newKeeper(config, storedsnapshot.Options{
		Publisher: publisher, Responses: responses, Metrics: storedsnapshot.NewMetrics(registry), Logger: logger.WithName("rules"),
	})
	if err != nil {
		return nil, fmt.Errorf("--snapshot-dir: %w", err)
	}
	instance := string(uuid.NewUUID())
	electing, err := coordinationv1client.NewForConfigAndClient(rest.AddUserAgent(config, "leader-election"), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	reports, err := coordinationv1client.NewForConfigAndClient(config, mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	self := replica.New(rulesReconciler, replica.Options{
		Leases: reports, Namespace: o.namespace, LeaseName: o.leaseName, Name: o.replicaName, PodUID: types.UID(o.replicaUID),
		Instance: instance, Version: version.String(), FenceAfter: o.fenceAfter,
		Metrics: replica.NewMetrics(registry), Logger: logger.WithName("replica"),
	})
	statusReconciler, err := controllers.NewStatusReconciler(controllers.StatusOptions{
		Stored: watches, Built: rulesReconciler,
		Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("registration-policy-operator"),
		Scopes: o.scopes, Limits: o.limits, Observing: o.observe, Logger: logger.WithName("status"),
		Fleet: &fleet.Observer{
			Reader: mgr.GetAPIReader(), Namespace: o.namespace, LeaseName: o.leaseName, ServiceName: o.serviceName, Local: self,
			Metrics: fleetMetrics, Logger: logger.WithName("status"),
		},
	})
	if err != nil {
		return nil, err
	}
	return &cluster{mgr, tracker, publisher, self, stored}, mgr.Add(&election.Election{
		Leases: electing, Namespace: o.namespace, Name: o.leaseName, Identity: o.replicaName + "_" + instance,
		Lead: statusReconciler.Run, Metrics: metrics, Logger: logger.WithName("election"),
	})
}

// drain reports to the other replicas that this one is about to stop.
func (c *cluster) drain() { c.replica.Drain() }

// clientConfig returns the configuration of a kubeconfig, or that of the pod if there is none. BuildConfigFromFlags
// would do both, but logs a warning without a kubeconfig.
func clientConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// Start keeps the rules up to date and reports them to the other replicas until ctx ends. Last, it deletes this
// replica's report, a Lease, so that the others no longer count this replica.
func (c *cluster) Start(ctx context.Context) error {
	reporting, stop := context.WithCancel(context.WithoutCancel(ctx))
	reported := make(chan error, 1)
	go func() { reported <- c.replica.Start(reporting) }()
	// The keeper of the stored snapshot is not a runnable of the manager, which may wait for the API server before it
	// starts its runnables. The stored snapshot is meant for exactly that time.
	storing, stopStoring := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	if c.stored != nil {
		keeper.Go(func() { c.stored.Run(storing) })
	}
	err := c.manager.Start(ctx)
	stopStoring()
	keeper.Wait()
	stop()
	return errors.Join(err, <-reported)
}
