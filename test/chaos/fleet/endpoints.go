package fleet

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/chaos/history"
)

// endpointsPeriod is the interval of the simulated EndpointSlice and Ingress controllers, about the delay of the real
// ones.
const endpointsPeriod = 200 * time.Millisecond

// Endpoints simulates the EndpointSlice controller: it writes the EndpointSlice of a Service.
type Endpoints struct {
	// Client is the client to use. Timeline is the clock of the serving periods.
	Client   client.Client
	Timeline *Timeline
	Ports    Ports
	// Namespace and Service identify the Service, and Labels is its selector.
	Namespace, Service string
	Labels             map[string]string

	mu      sync.Mutex
	periods []history.ServingPeriod
	latest  map[string]int // of each pod that may be serving, the index of its last period in periods
}

// Run keeps the EndpointSlice up to date until ctx ends.
func (e *Endpoints) Run(ctx context.Context) {
	e.latest = map[string]int{}
	for tick := time.NewTicker(endpointsPeriod); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			once, cancel := context.WithTimeout(ctx, apiTimeout)
			if err := e.reconcile(once); apierrors.IsInvalid(err) { // after any other error, the next tick tries again
				e.Timeline.Note("the EndpointSlice is rejected: %v", err)
			}
			cancel()
		}
	}
}

func (e *Endpoints) reconcile(ctx context.Context) error {
	var pods corev1.PodList
	if err := e.Client.List(ctx, &pods, client.InNamespace(e.Namespace), client.MatchingLabels(e.Labels)); err != nil {
		return err
	}
	wanted := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: e.Namespace, Name: e.Service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: e.Service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("hook"), Port: new(int32(e.Ports.Hook)), Protocol: new(corev1.ProtocolTCP)}},
		Endpoints:   endpointsOf(pods.Items),
	}
	stored := &discoveryv1.EndpointSlice{}
	err := e.Client.Get(ctx, client.ObjectKeyFromObject(wanted), stored)
	if apierrors.IsNotFound(err) {
		return e.write(wanted, func() error { return e.Client.Create(ctx, wanted) })
	}
	if err != nil || reflect.DeepEqual(stored.Endpoints, wanted.Endpoints) {
		return err
	}
	stored.Endpoints = wanted.Endpoints
	return e.write(stored, func() error { return e.Client.Update(ctx, stored) })
}

// endpointsOf returns the endpoints of pods, as Kubernetes does: a terminating pod is not ready, and is serving as long
// as its readiness probe succeeds.
func endpointsOf(pods []corev1.Pod) []discoveryv1.Endpoint {
	var endpoints []discoveryv1.Endpoint
	for i := range pods {
		pod := &pods[i]
		if pod.Status.PodIP == "" {
			continue
		}
		serving := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		terminating := pod.DeletionTimestamp != nil
		endpoints = append(endpoints, discoveryv1.Endpoint{
			Addresses: []string{pod.Status.PodIP},
			Conditions: discoveryv1.EndpointConditions{
				Ready: new(serving && !terminating), Serving: new(serving), Terminating: new(terminating),
			},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
			NodeName:  new(pod.Spec.NodeName),
		})
	}
	slices.SortFunc(endpoints, func(a, b discoveryv1.Endpoint) int { return cmp.Compare(a.Addresses[0], b.Addresses[0]) })
	return endpoints
}

// write writes the slice, and records the begin and end of serving periods.
func (e *Endpoints) write(slice *discoveryv1.EndpointSlice, write func() error) error {
	serving := map[string]bool{}
	for _, endpoint := range slice.Endpoints {
		serving[onLoopback(endpoint.Addresses[0])] = *endpoint.Conditions.Serving
	}
	begin := e.Timeline.Now()
	e.mu.Lock()
	for pod, serves := range serving {
		if _, already := e.latest[pod]; serves && !already {
			e.latest[pod] = len(e.periods)
			e.periods = append(e.periods, history.ServingPeriod{Pod: pod, From: begin, Until: history.Never})
		}
	}
	e.mu.Unlock()
	if err := write(); err != nil {
		return err // the slice may be stored or not, so no period ends
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for pod, last := range e.latest {
		if !serving[pod] {
			e.periods[last].Until = e.Timeline.Now()
			delete(e.latest, pod)
		}
	}
	return nil
}

// ServingPeriods returns the periods in which pods may have been serving.
func (e *Endpoints) ServingPeriods() []history.ServingPeriod {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.periods)
}

// Ingress simulates the Ingress controller: it configures the proxy with the ready endpoints, or, if none is ready,
// with the serving ones.
type Ingress struct {
	// Client is the client to use. Timeline gets a note if Proxy, which gets the endpoints, rejects them.
	Client   client.Client
	Timeline *Timeline
	Proxy    *Proxy
	Ports    Ports
	// Namespace and Service identify the Service.
	Namespace, Service string
}

// Run keeps the proxy up to date until ctx ends.
func (i *Ingress) Run(ctx context.Context) {
	for tick := time.NewTicker(endpointsPeriod); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			once, cancel := context.WithTimeout(ctx, apiTimeout)
			var slice discoveryv1.EndpointSlice
			err := i.Client.Get(once, client.ObjectKey{Namespace: i.Namespace, Name: i.Service + "-1"}, &slice)
			cancel()
			if err != nil {
				continue // keep the last endpoints
			}
			ready, serving := addresses(slice.Endpoints)
			if len(ready) == 0 {
				ready = serving
			}
			if err := i.Proxy.Set(i.Ports.Hook, ready, serving); err != nil {
				i.Timeline.Note("the proxy could not be configured: %v", err)
			}
		}
	}
}

func addresses(endpoints []discoveryv1.Endpoint) (ready, serving []string) {
	for _, endpoint := range endpoints {
		if *endpoint.Conditions.Ready {
			ready = append(ready, onLoopback(endpoint.Addresses[0]))
		}
		if *endpoint.Conditions.Serving {
			serving = append(serving, onLoopback(endpoint.Addresses[0]))
		}
	}
	return ready, serving
}

// The API server rejects loopback addresses in endpoints, so objects have 10.1.2.3 in place of 127.1.2.3.
const (
	loopbackNetwork = "127."
	clusterNetwork  = "10."
)

func inCluster(address string) string {
	return clusterNetwork + strings.TrimPrefix(address, loopbackNetwork)
}

func onLoopback(address string) string {
	return loopbackNetwork + strings.TrimPrefix(address, clusterNetwork)
}
