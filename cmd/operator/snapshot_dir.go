package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/internal/storedsnapshot"
	"registrationpolicy.dev/operator/internal/version"
)

// newKeeper returns the keeper that stores the rules in --snapshot-dir for a start without the API server. It returns
// nil without that flag.
func (o *options) newKeeper(config *rest.Config, keeper storedsnapshot.Options) (*storedsnapshot.Keeper, error) {
	if o.snapshotDir == "" {
		return nil, nil //nolint:nilnil // nil: no snapshot is stored
	}
	identity, err := storedsnapshot.ClusterIdentity(config)
	if err != nil {
		return nil, err
	}
	keeper.Directory = o.snapshotDir
	keeper.Binding = snapshotfile.Binding{
		Version: version.String(), Cluster: identity, Namespaces: o.watchNamespaces, Flags: o.decisionFlags(),
	}
	return storedsnapshot.New(keeper)
}

// decisionFlags returns the flags that change decisions. A process uses a stored snapshot only if it was written with
// the same flags. --watch-namespaces is left out because the snapshot has it as Binding.Namespaces, and the flags
// --text-* because they change no verdict, only what a person reads.
func (o *options) decisionFlags() []string {
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
