package install

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/test/fixture"
	"registrationpolicy.dev/operator/test/proxies"
)

// Traefik's own providers read the chart's Ingress and HTTPRoute from an API server. docs/platform/proxies.md has what
// they answer without a ready replica. test/proxies has what happens to calls while replicas come and go.
func TestTraefikReadsTheChartsIngressAndRoute(t *testing.T) {
	t.Parallel()
	const namespace = "okta"
	c := startCluster(t)
	definitions, err := traefikDefinitions()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envtest.InstallCRDs(c.config, envtest.CRDInstallOptions{Paths: definitions}); err != nil {
		t.Fatal(err)
	}
	c.namespace(t, namespace)
	c.applyText(t, traefikClasses)
	objects := mustRender(t, "try", namespace, reachable().with(settings{
		"ingress.className": "traefik", "ingress.host": "ingress.example.com", "ingress.tls.secretName": "",
		"ingress.annotations":  map[string]any{"traefik.ingress.kubernetes.io/router.middlewares": namespace + "-hook-retry@kubernetescrd"},
		"httpRoute.parentRefs": []any{map[string]any{"name": "public"}}, "httpRoute.hostnames": []any{"gateway.example.com"},
	}))
	for _, kind := range []string{"Service", "Ingress", "HTTPRoute"} {
		object := find(t, objects, kind, "hook")
		if err := c.apply(t, object); err != nil {
			t.Fatal(err)
		}
	}
	certificate := proxies.NewCertificate(t, "gateway.example.com")
	c.secret(t, namespace, "public-tls", map[string]string{
		corev1.TLSCertKey: string(certificate.Chain), corev1.TLSPrivateKeyKey: string(certificate.Key),
	})
	c.setEndpoint(t, namespace, false)
	address := startTraefik(t, c, "--providers.kubernetesGateway=true")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	c.applyText(t, strings.Replace(traefikGateway, "8443", port, 1)) // a listener belongs to the entry point with its port
	allowsEmpty := startTraefik(t, c, allowEmptyServices)
	if !strings.Contains(readFile(t, "docs/platform/proxies.md"), "`"+allowEmptyServices+"`") {
		t.Errorf("docs/platform/proxies.md does not name %s", allowEmptyServices)
	}

	statusOf := func(host string) int { return postTo(t, address, host) }
	await := func(about, host string, want int) {
		t.Helper()
		fixture.Await(t, about, func() bool { return statusOf(host) == want })
	}
	const unreachable = http.StatusGatewayTimeout // what Traefik answers while it cannot connect to a replica
	await("the Gateway's route without a ready replica", "gateway.example.com", http.StatusServiceUnavailable)
	if got := statusOf("ingress.example.com"); got != http.StatusNotFound {
		t.Errorf("the Ingress without a ready replica: %d, want 404", got)
	}
	c.setEndpoint(t, namespace, true)
	await("the Gateway's route with a replica", "gateway.example.com", unreachable)
	if got := statusOf("ingress.example.com"); got != http.StatusNotFound {
		t.Errorf("the Ingress with a middleware that does not exist: %d, want 404", got)
	}
	c.applyText(t, traefikRetry)
	await("the Ingress with a replica and its middleware", "ingress.example.com", unreachable)
	c.setEndpoint(t, namespace, false)
	await("the Ingress after its last replica", "ingress.example.com", http.StatusNotFound)
	fixture.Await(t, "the same with "+allowEmptyServices, func() bool {
		return postTo(t, allowsEmpty, "ingress.example.com") == http.StatusServiceUnavailable
	})
}

// allowEmptyServices is the option that the page suggests.
const allowEmptyServices = "--providers.kubernetesIngress.allowEmptyServices=true"

// What an administrator installs besides Traefik: the class of the Ingress, and a Gateway.
const (
	traefikClasses = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik}
spec: {controller: traefik.io/ingress-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: traefik}
spec: {controllerName: traefik.io/gateway-controller}
`
	traefikGateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: okta}
spec:
  gatewayClassName: traefik
  listeners:
  - name: https
    protocol: HTTPS
    port: 8443
    tls: {certificateRefs: [{name: public-tls}]}
`
	traefikRetry = `
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: hook-retry, namespace: okta}
spec: {retry: {attempts: 4}}
`
)

// traefikDefinitions returns the files with the CustomResourceDefinitions that Traefik's providers read.
func traefikDefinitions() ([]string, error) {
	listed, err := output("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	if err != nil {
		return nil, err
	}
	gateway := filepath.Join(strings.TrimSpace(listed), "config", "crd", "standard")
	listed, err = output("go", "-C", filepath.FromSlash(repository+"/test/proxies/traefik"), "list", "-m", "-f", "{{.Dir}}", "github.com/traefik/traefik/v3")
	if err != nil {
		return nil, err
	}
	traefik := filepath.Join(strings.TrimSpace(listed), "docs", "content", "reference", "dynamic-configuration")
	var files []string
	for _, name := range []string{"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"} {
		files = append(files, filepath.Join(gateway, "gateway.networking.k8s.io_"+name+".yaml"))
	}
	for _, name := range []string{
		"ingressroutes", "ingressroutetcps", "ingressrouteudps", "middlewares", "middlewaretcps", "serverstransports", "serverstransporttcps",
		"tlsoptions", "tlsstores", "traefikservices",
	} {
		files = append(files, filepath.Join(traefik, "traefik.io_"+name+".yaml"))
	}
	return files, nil
}

// startTraefik starts Traefik with its providers of Ingresses and of its own objects, and returns the host:port on which it listens.
func startTraefik(t *testing.T, c *cluster, options ...string) string {
	t.Helper()
	path, err := proxies.Program(proxies.Traefik)
	if err != nil {
		t.Fatal(err)
	}
	address := fixture.FreeAddress(t)
	var log fixture.Transcript
	traefik := exec.CommandContext(t.Context(), path, append(options,
		"--entryPoints.https.address="+address, "--entryPoints.https.http.tls=true",
		"--providers.kubernetesIngress=true", "--providers.kubernetesCRD=true",
		"--serversTransport.forwardingTimeouts.dialTimeout=500ms",
		"--serversTransport.forwardingTimeouts.responseHeaderTimeout=2s",
		"--log.level=INFO", "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false")...)
	traefik.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	traefik.Stdout, traefik.Stderr = &log, &log
	if err := traefik.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = traefik.Wait() // the end of the test's context has killed it
		if t.Failed() {
			t.Logf("Traefik:\n%s", log.String())
		}
	})
	return address
}

// postTo returns the status of Traefik's answer to a call of the hook, or 0 if it does not answer.
func postTo(t *testing.T, address, host string) int {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{ServerName: host, InsecureSkipVerify: true}, //nolint:gosec // the certificate is not what is tested
	}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address+"/okta/registration", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// applyText applies the objects of a text.
func (c *cluster) applyText(t *testing.T, text string) {
	t.Helper()
	objects, err := parseObjects(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if err := c.apply(t, object); err != nil {
			t.Fatal(err)
		}
	}
}

// setEndpoint makes the hook's Service have one replica, ready or not, at an address that nobody has.
func (c *cluster) setEndpoint(t *testing.T, namespace string, ready bool) {
	t.Helper()
	c.applyText(t, fmt.Sprintf(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hook-1, namespace: %s, labels: {kubernetes.io/service-name: hook}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.1], conditions: {ready: %t, serving: %t}}]
ports: [{name: hook, port: 8080, protocol: TCP}]
`, namespace, ready, ready))
}
