package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

const (
	// catchUpInterval is the least time between two comparisons: where policies change all the time, each asks the API server for
	// the names of all lists.
	catchUpInterval = time.Second
	// catchUpTimeout is the time for one.
	catchUpTimeout = 5 * time.Second
)

// catchUp brings quiet watches forward. A watch by which nothing comes stands where it is until the next bookmark, up to a minute
// later, and with it the position of the whole snapshot. Instead, what the API server has now, names and versions alone, is compared
// with what the watch's store has.
type catchUp struct {
	reader  client.Reader // asks the API server
	watches *watches
}

// to compares all watches that have not reached a version, and says whether each has what the API server has now.
func (c *catchUp) to(ctx context.Context, version string) (same bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	same = true
	for _, place := range c.watches.behind(version) {
		one, err := c.compare(ctx, place)
		if err != nil {
			return false, fmt.Errorf("compare %s: %w", place, unquoted(err))
		}
		same = same && one
	}
	return same, nil
}

func (c *catchUp) compare(ctx context.Context, place watchPlace) (same bool, _ error) {
	list := &metav1.PartialObjectMetadataList{}
	options := []client.ListOption{client.InNamespace(place.namespace)}
	if place.policies {
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyKind + "List"))
	} else {
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
		options = append(options, client.MatchingLabels(ListLabels()))
	}
	// Without a resourceVersion, an API server answers from the newest state of etcd.
	if err := c.reader.List(ctx, list, options...); err != nil {
		return false, err
	}
	there := make(map[string]objectVersion, len(list.Items))
	for i := range list.Items {
		there[list.Items[i].GetName()] = versionOfObject(&list.Items[i])
	}
	return c.watches.compare(place, list.ResourceVersion, there), nil
}
