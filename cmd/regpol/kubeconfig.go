package main

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/usage"
)

// clusterOptions are the flags that name a cluster, and a namespace in it.
type clusterOptions struct{ kubeconfig, context, namespace string }

// load returns the configuration of the cluster, and the namespace. It fails with none where neither flags nor the environment name a
// cluster.
func (o clusterOptions) load(none error) (_ *rest.Config, namespace string, _ error) {
	loading := clientcmd.NewDefaultClientConfigLoadingRules()
	loading.ExplicitPath = o.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.context}
	overrides.Context.Namespace = o.namespace
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loading, overrides)
	config, err := kubeconfig.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, "", none
	case err != nil:
		return nil, "", fmt.Errorf("kubeconfig: %w", usage.Kubeconfig(err))
	}
	if namespace, _, err = kubeconfig.Namespace(); err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	config = policyobject.ClientConfig(config)
	config.Timeout = listTimeout
	return config, namespace, nil
}
