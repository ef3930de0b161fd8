package replay

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/cmd/regpol/internal/cluster"
)

// defaultSelector selects the operator's pods, as config/manager and the chart label them.
const defaultSelector = "app.kubernetes.io/name=registration-policy-operator,app.kubernetes.io/component=operator"

// podLogs reads the logs of the operator's pods.
type podLogs struct {
	client    rest.Interface
	host      string
	namespace string
}

func newPodLogs(cluster cluster.Options) (*podLogs, error) {
	config, namespace, err := cluster.Load(errors.New("--pods: no cluster: give one with --kubeconfig or KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.Timeout = 0 // reading a log takes as long as the log is
	config.APIPath = "/api"
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return &podLogs{client, config.Host, namespace}, nil
}

// list returns the names of the pods that a selector selects. It fails if there is none.
func (p *podLogs) list(ctx context.Context, selector string) ([]string, error) {
	if _, err := labels.Parse(selector); err != nil {
		return nil, fmt.Errorf("--selector: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.APITimeout)
	defer cancel()
	var pods corev1.PodList
	err := p.client.Get().Namespace(p.namespace).Resource("pods").
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, scheme.ParameterCodec).Do(ctx).Into(&pods)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not list pods in namespace %s: ask for the right to list pods and to get pods/log, "+
			"or choose another --context or --namespace", p.namespace)
	case err != nil:
		return nil, cluster.ListError(err, "pods", p.namespace, p.host)
	case len(pods.Items) == 0:
		return nil, fmt.Errorf("no pod in namespace %s has the labels %s: choose another --namespace, --context or --selector", p.namespace, selector)
	}
	var names []string
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	return names, nil
}

// open opens the log of a pod, as far as its node still has it.
func (p *podLogs) open(ctx context.Context, pod string) (io.ReadCloser, error) {
	stream, err := p.client.Get().Namespace(p.namespace).Resource("pods").Name(pod).SubResource("log").
		VersionedParams(&corev1.PodLogOptions{Container: cluster.OperatorContainer}, scheme.ParameterCodec).Stream(ctx)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not read the logs of pods in namespace %s: ask for the right to get pods/log", p.namespace)
	case err != nil:
		return nil, fmt.Errorf("read the log of pod %s: %w", pod, err)
	}
	return stream, nil
}
