package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/controllers"
	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/internal/version"
)

// keepSnapshots returns nil without --snapshot-dir.
func keepSnapshots(
	o *options, config *rest.Config, reconciler *controllers.RulesReconciler, metrics *controllers.Metrics,
) (*controllers.StoredSnapshot, error) {
	if o.snapshotDir == "" {
		return nil, nil //nolint:nilnil // nil: nothing is to be stored
	}
	identity, err := controllers.ClusterIdentity(config)
	if err != nil {
		return nil, err
	}
	return reconciler.KeepSnapshots(context.Background(), o.snapshotDir, snapshotfile.Binding{
		Version: version.String(), Cluster: identity, Namespaces: o.watchNamespaces, Flags: o.deciding(),
	}, metrics)
}

// deciding returns the flags that change decisions, but for the namespaces. Texts for people are none.
func (o *options) deciding() []string {
	flags := []string{
		"--address-attributes=" + strings.Join(o.attributes, ","),
		fmt.Sprintf("--observe=%t", o.observe),
	}
	for _, namespace := range o.scopes.Namespaces() {
		flags = append(flags, "--namespace-sources="+namespace+"="+strings.Join(o.scopes[namespace], ","))
	}
	for _, namespace := range slices.Sorted(maps.Keys(o.limits)) {
		flags = append(flags, fmt.Sprintf("--namespace-limits=%s=%d", namespace, o.limits[namespace]))
	}
	return flags
}
