package install

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/proxies"
)

const (
	installPage = "docs/platform/install.md"
	chartPage   = "charts/registration-policy-operator/README.md"
	// publishedChart is the chart in the pages' commands. The tests install the checkout's chart instead.
	publishedChart = "oci://registry.example.com/charts/registration-policy-operator"

	// Marks of blocks on the page of the installation, and on pages that continue it.
	markFile     = "file "             // the reader writes the block to a file
	markProxy    = "through the proxy" // from outside, where DNS leads to the Ingress
	markOwn      = "in a cluster of its own"
	markOwnEnd   = "at the end of that cluster"
	markReleased = "needs a running cluster with the release"
)

// Runs the commands of the installation's page in order, from an empty cluster to an allowed `regpol call`, and then
// commands of other pages that use this release.
func TestTheFirstHourGoesAsThePageSays(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	for _, b := range blocks(t, installPage) {
		if file, found := strings.CutPrefix(b.mark, markFile); found {
			r.write(t, file, b.text)
		}
		for _, c := range b.commands() {
			switch reason := b.reason(); {
			case excuses[reason] != "" || reason == markOwn || reason == markOwnEnd:
			case strings.HasPrefix(c.script, "helm uninstall"):
				// readOn runs these blocks, because they need the release.
			case reason == markProxy:
				r.run(t, r.throughProxy(t, c))
			default:
				r.run(t, c)
			}
		}
	}
	r.readOn(t)
	r.leave(t)
}

func TestTheChartIsInstalledAsItsOwnREADMESays(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	ran := 0
	for _, b := range blocks(t, chartPage) {
		for _, c := range b.commands() {
			r.run(t, c)
			ran++
		}
	}
	if ran == 0 {
		t.Error("the page has no commands")
	}
}

// readOn runs the commands of other pages that need the release.
func (r *reader) readOn(t *testing.T) {
	t.Helper()
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			for _, c := range b.commands() {
				if b.reason() == markReleased {
					// Wait for the rollout. A reader takes so much time between two of these commands that it is over.
					r.cluster.kubectl(t, "--namespace", "registration-policy", "rollout", "status", "deployment/registration-policy-operator")
					r.run(t, c)
				}
			}
		}
	}
}

// runMarked runs the commands in blocks of the installation's page with a mark.
func (r *reader) runMarked(t *testing.T, mark string) {
	t.Helper()
	ran := false
	for _, b := range blocks(t, installPage) {
		if b.reason() == mark {
			for _, c := range b.commands() {
				r.run(t, c)
				ran = true
			}
		}
	}
	if !ran {
		t.Fatalf("%s has no command marked %q", installPage, mark)
	}
}

// leave uninstalls the release, checks what stays, and installs again.
func (r *reader) leave(t *testing.T) {
	t.Helper()
	for _, b := range blocks(t, installPage) {
		for _, c := range b.commands() {
			if strings.HasPrefix(c.script, "helm uninstall") {
				r.run(t, c)
			}
		}
	}
	r.cluster.kubectl(t, "get", "--namespace", "registration-policy", "regpol/acme", "secret/registration-hook-auth",
		"secret/registration-hook-tls", "lease/registration-policy-operator")
	// Without pods: they may still drain, because the Deployment's controller deletes them, not Helm.
	kinds := "deployment,service,serviceaccount,ingress,role,networkpolicy,pdb,hpa"
	if left := r.cluster.kubectl(t, "get", "--namespace", "registration-policy", kinds, "-o", "name"); left != "" {
		t.Errorf("after the uninstallation there is still:\n%s", left)
	}
	r.cluster.helm(t, "install", "registration-policy-operator", chartDir, "--namespace", "registration-policy",
		"--values", filepath.Join(r.dir, "values.yaml"))
}

// reader stands for a person who follows a page. It has a directory, an administrator's kubeconfig, and a cluster with
// a node.
type reader struct {
	cluster *cluster
	node    *node
	proxy   *proxies.Proxy
	dir     string
}

// newReader returns a reader with an empty cluster. Its directory has the files of a checkout that the commands use.
func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{cluster: startCluster(t), dir: t.TempDir()}
	r.node = startNode(t, r.cluster)
	for _, folder := range []string{"charts", "config"} {
		absolute, err := filepath.Abs(filepath.Join(repository, folder))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(absolute, filepath.Join(r.dir, folder)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *reader) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in bash, and compares its output with the text that the page quotes. It takes the
// chart from the checkout instead of the registry.
func (r *reader) run(t *testing.T, c *command) {
	t.Helper()
	script := strings.ReplaceAll(c.script, publishedChart, "charts/registration-policy-operator")
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	shell.Dir = r.dir
	shell.Env = append(os.Environ(),
		"PATH="+filepath.Dir(program(t, "helm"))+string(os.PathListSeparator)+os.Getenv("PATH"),
		"KUBECONFIG="+r.cluster.kubeconfig, "HOME="+r.dir,
	)
	text, err := shell.CombinedOutput()
	t.Logf("%s:%d $ %s%s", c.block.page, c.block.line, c.script, text)
	if err != nil {
		t.Fatalf("%s:%d: %s%v", c.block.page, c.block.line, c.script, err)
	}
	if c.quoted != "" && !quotes(c.quoted, string(text)) {
		t.Errorf("%s:%d: %sprints\n%s\nand the page says\n%s", c.block.page, c.block.line, c.script, text, c.quoted)
	}
}

// throughProxy changes a command so that it works on this machine: with a port that does not need root, and with the
// address of the host name, which DNS would know.
func (r *reader) throughProxy(t *testing.T, c *command) *command {
	t.Helper()
	if r.proxy == nil {
		r.proxy = r.startIngress(t)
	}
	_, port, err := net.SplitHostPort(r.proxy.Address())
	if err != nil {
		t.Fatal(err)
	}
	const host = "hook.example.com"
	script := strings.ReplaceAll(c.script, host+":8443", host+":"+port)
	script = strings.ReplaceAll(script, "https://"+host+"/", "https://"+host+":"+port+"/")
	if !strings.Contains(script, "--resolve") {
		script = strings.TrimSuffix(script, "\n") + " --resolve " + host + ":" + port + ":127.0.0.1 --ca-file tls.crt\n"
	}
	quoted := strings.ReplaceAll(c.quoted, host+":8443", host+":"+port)
	quoted = strings.ReplaceAll(quoted, "https://"+host+"/", "https://"+host+":"+port+"/")
	return &command{block: c.block, script: script, quoted: quoted}
}

// startIngress starts a real Traefik in place of an Ingress controller. It is configured from the cluster's Ingress, its
// TLS Secret, and the ready pods of the Service that it names.
func (r *reader) startIngress(t *testing.T) *proxies.Proxy {
	t.Helper()
	var list networkingv1.IngressList
	if err := r.cluster.kube.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 {
		t.Fatalf("%d Ingresses, want one", len(list.Items))
	}
	ingress := list.Items[0]
	rule := ingress.Spec.Rules[0]
	path := rule.HTTP.Paths[0]
	if *path.PathType != networkingv1.PathTypeExact || len(rule.HTTP.Paths) != 1 || len(ingress.Spec.Rules) != 1 {
		t.Fatalf("the Ingress leads more to the hook than its path: %+v", ingress.Spec.Rules)
	}
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: ingress.Namespace, Name: ingress.Spec.TLS[0].SecretName}
	if err := r.cluster.kube.Get(t.Context(), key, &secret); err != nil {
		t.Fatal(err)
	}
	backend := path.Backend.Service
	endpoints, err := r.node.endpoints(t.Context(), ingress.Namespace, backend.Name, backend.Port.Name)
	if err != nil {
		t.Fatal(err)
	}
	if len(endpoints) != 2 {
		t.Fatalf("ready behind the Service: %q, want two replicas", endpoints)
	}
	return proxies.Start(t, proxies.Traefik, proxies.Options{
		Host: rule.Host, Path: path.Path, Backends: endpoints,
		Certificate: &proxies.Certificate{
			Chain: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey], Authority: secret.Data[corev1.TLSCertKey],
		},
	})
}
