package install

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// publishEndpoints writes an EndpointSlice with the pods of each Service. Their addresses are made up, because the API
// server rejects loopback addresses in EndpointSlices.
func (n *node) publishEndpoints(ctx context.Context) error {
	var services corev1.ServiceList
	if err := n.cluster.kube.List(ctx, &services); err != nil {
		return err
	}
	for i := range services.Items {
		if service := &services.Items[i]; len(service.Spec.Selector) > 0 {
			if err := n.publishSlice(ctx, service); err != nil {
				return fmt.Errorf("endpoints of Service %s/%s: %w", service.Namespace, service.Name, err)
			}
		}
	}
	return nil
}

func (n *node) publishSlice(ctx context.Context, service *corev1.Service) error {
	wanted := discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: service.Name + "-" + nodeName,
			Labels:          map[string]string{discoveryv1.LabelServiceName: service.Name},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(service, corev1.SchemeGroupVersion.WithKind("Service"))},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, uid := range slices.SortedFunc(maps.Keys(n.pods), func(a, b types.UID) int { return cmp.Compare(a, b) }) {
		p := n.pods[uid]
		if p.key.Namespace != service.Namespace || !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(p.labels)) {
			continue
		}
		serving, terminating := p.ready.Load(), !p.stopping.IsZero()
		wanted.Endpoints = append(wanted.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("192.0.2.%d", len(wanted.Endpoints)+1)},
			Conditions: discoveryv1.EndpointConditions{Ready: new(serving && !terminating), Serving: new(serving), Terminating: new(terminating)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: p.key.Namespace, Name: p.key.Name, UID: uid},
		})
	}
	var stored discoveryv1.EndpointSlice
	err := n.cluster.kube.Get(ctx, client.ObjectKeyFromObject(&wanted), &stored)
	switch {
	case apierrors.IsNotFound(err):
		return n.cluster.kube.Create(ctx, &wanted)
	case err != nil:
		return err
	case same(stored.Endpoints, wanted.Endpoints):
		return nil
	}
	stored.Endpoints = wanted.Endpoints
	return n.cluster.kube.Update(ctx, &stored)
}
