package cluster

import (
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/usage"
)

// APITimeout limits each request to the API server, so that a person does not wait longer for a server that is
// unreachable.
const APITimeout = 15 * time.Second

// OperatorContainer is the name of the operator's container in the chart and the kustomizations.
const OperatorContainer = "operator"

// Options holds the flags that select a cluster and a namespace: the path Kubeconfig, the name Context of a context in
// it, and Namespace. For an empty string, Load uses what kubectl would use without that flag.
type Options struct{ Kubeconfig, Context, Namespace string }

// Load returns the client configuration of the cluster, and the namespace. It fails with noCluster if neither flags nor
// the environment select a cluster.
func (o Options) Load(noCluster error) (_ *rest.Config, namespace string, _ error) {
	loading := clientcmd.NewDefaultClientConfigLoadingRules()
	loading.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	overrides.Context.Namespace = o.Namespace
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
	config.Timeout = APITimeout
	return config, namespace, nil
}
