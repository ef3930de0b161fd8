package main

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/usage"
)

// clusterOptions holds the flags that select a cluster and a namespace.
type clusterOptions struct{ kubeconfig, context, namespace string }

// load returns the client configuration of the cluster, and the namespace. It fails with noCluster if neither flags nor
// the environment select a cluster.
func (o clusterOptions) load(noCluster error) (_ *rest.Config, namespace string, _ error) {
	loading := clientcmd.NewDefaultClientConfigLoadingRules()
	loading.ExplicitPath = o.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.context}
	overrides.Context.Namespace = o.namespace
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loading, overrides)
	config, err := kubeconfig.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, "", noCluster
	case err != nil:
		return nil, "", fmt.Errorf("kubeconfig: %w", usage.Kubeconfig(err))
	}
	if namespace, _, err = kubeconfig.Namespace(); err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	config = policyobject.ClientConfig(config)
	config.Timeout = apiTimeout
	return config, namespace, nil
}
