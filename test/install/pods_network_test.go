package install

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// entrypoint is the entrypoint of the image, see tools/release.
const entrypoint = "/operator"

// commandLine returns the command line of a container: one of the image's two programs, with the arguments of the
// chart. It replaces the paths of mounts, ports, and the names of Services.
func (n *node) commandLine(ctx context.Context, container *corev1.Container, p *pod) (path string, args []string, err error) {
	dir, err := programs()
	if err != nil {
		return "", nil, err
	}
	command := append([]string{}, container.Command...)
	if len(command) == 0 {
		command = []string{entrypoint}
	}
	switch command[0] {
	case "/operator", "/regpol":
		path = dir + command[0]
	default:
		return "", nil, fmt.Errorf("the image has no program %q", command[0])
	}
	for _, argument := range append(command[1:], container.Args...) {
		if argument, err = replaceMounts(container, p.dir, argument); err != nil {
			return "", nil, err
		}
		argument = replacePort(container, p, argument)
		replaced, err := n.replaceClusterHost(ctx, argument)
		if err != nil {
			return "", nil, err
		}
		args = append(args, replaced...)
	}
	return path, args, nil
}

// replacePort replaces a listen address such as :8080 by the pod's address on this machine.
func replacePort(container *corev1.Container, p *pod, argument string) string {
	for _, port := range container.Ports {
		if before, found := strings.CutSuffix(argument, "=:"+number(port.ContainerPort)); found {
			return before + "=" + p.ports[port.Name]
		}
	}
	return argument
}

var clusterHost = regexp.MustCompile(`^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?$`)

// replaceClusterHost replaces the cluster's DNS and kube-proxy. In a URL with the name of a Service, it replaces the
// port by that of a ready pod, and it adds an option with the address of the name.
func (n *node) replaceClusterHost(ctx context.Context, argument string) ([]string, error) {
	u, err := url.Parse(argument)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return []string{argument}, nil //nolint:nilerr // an argument that is not a URL names no Service
	}
	name := clusterHost.FindStringSubmatch(u.Hostname())
	if name == nil {
		return []string{argument}, nil
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	endpoints, err := n.endpoints(ctx, name[2], name[1], port)
	if err != nil {
		return nil, err
	}
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("nobody is ready behind %s", u.Host)
	}
	host, port, err := net.SplitHostPort(endpoints[0])
	if err != nil {
		return nil, err
	}
	u.Host = net.JoinHostPort(u.Hostname(), port)
	return []string{u.String(), "--resolve=" + u.Host + ":" + host}, nil
}

// endpoints returns the addresses of the ready pods behind a Service's port, which is given by name or number.
func (n *node) endpoints(ctx context.Context, namespace, name, port string) ([]string, error) {
	var service corev1.Service
	if err := n.cluster.kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &service); err != nil {
		return nil, err
	}
	target := ""
	for _, p := range service.Spec.Ports {
		if p.Name == port || number(p.Port) == port {
			if p.TargetPort.Type != intstr.String {
				return nil, errors.New("the stand-in follows target ports with a name")
			}
			target = p.TargetPort.StrVal
		}
	}
	if target == "" {
		return nil, fmt.Errorf("Service %s has no port %s", name, port)
	}
	selector := labels.SelectorFromSet(service.Spec.Selector)
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []string
	for _, p := range n.pods {
		if address, has := p.ports[target]; has && p.key.Namespace == namespace && p.ready.Load() && selector.Matches(labels.Set(p.labels)) {
			found = append(found, address)
		}
	}
	return found, nil
}
