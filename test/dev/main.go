// Command dev runs an environment to try the operator by hand: etcd and kube-apiserver, the CustomResourceDefinition,
// the admission policy that warns at kubectl apply, sample policies with a list, and the operator. It prints the path
// of a kubeconfig and example commands, and stops everything on SIGINT or SIGTERM. With -demo it runs two operators
// behind a proxy, and sends them sign-ups as Okta would.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/internal/usage"
)

const (
	credential  = "demo-credential-not-a-secret"
	namespace   = "registration-policy" // the one in the manual and in the ValidatingAdmissionPolicyBinding
	samples     = "config/samples"
	readyWithin = 30 * time.Second
)

// options are the flags that the Makefile passes.
type options struct {
	dir                   string // the directory for generated files; git ignores it
	hook, probes, metrics string // addresses of the operator
	// proxy is the address of the proxy before two operators; "": one operator without a proxy.
	proxy string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.dir, "dir", ".dev", "folder for generated files")
	flag.StringVar(&o.hook, "hook", "127.0.0.1:8180", "address of the hook")
	flag.StringVar(&o.probes, "probes", "127.0.0.1:8181", "address of the probes")
	flag.StringVar(&o.metrics, "metrics", "127.0.0.1:9190", "address of the metrics")
	flag.StringVar(&o.proxy, "demo", "", "address of a proxy with TLS: run two operators behind it, and send sign-ups")
	flag.Parse()
	if err := o.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

// run runs the environment until ctx ends. It checks first, before the slow start of the control plane, that no other
// process uses the directory or the addresses.
func (o *options) run(ctx context.Context, out io.Writer) error {
	credentials := filepath.Join(o.dir, "hook-auth")
	if err := os.MkdirAll(credentials, 0o700); err != nil {
		return err
	}
	unlock, err := o.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, address := range []string{o.hook, o.probes, o.metrics, o.proxy} {
		if address == "" {
			continue // no proxy
		}
		if err := o.checkFree(ctx, address); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(credentials, "demo"), []byte(credential+"\n"), 0o600); err != nil {
		return err
	}

	fmt.Fprintln(out, "Starting etcd and kube-apiserver…")
	plane := &envtest.Environment{
		CRDDirectoryPaths:     []string{"config/crd/bases"},
		ErrorIfCRDPathMissing: true,
	}
	if _, err := plane.Start(); err != nil {
		return fmt.Errorf("start the control plane: %w", err)
	}
	defer func() { _ = plane.Stop() }()
	kubeconfig, err := filepath.Abs(filepath.Join(o.dir, "kubeconfig"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(kubeconfig, plane.KubeConfig, 0o600); err != nil {
		return err
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	for _, line := range []string{
		"config set-context --current --namespace " + namespace,
		"apply --filename config/namespace/namespace.yaml",
		"apply --kustomize config/admission",
		"apply --filename " + samples + "/quickstart",
		"apply --filename " + samples + "/disposable-domains-list.yaml --filename " + samples + "/disposable-domains.yaml",
	} {
		if err := command(ctx, out, kubectl, append([]string{"--kubeconfig", kubeconfig}, strings.Fields(line)...)...).Run(); err != nil {
			return fmt.Errorf("kubectl %s: %w", line, err)
		}
	}

	if o.proxy != "" {
		return o.runDemo(ctx, out, kubectl, kubeconfig, credentials)
	}
	fmt.Fprintln(out, "Building and starting the operator…")
	binary := filepath.Join(o.dir, "operator-dev") // make run has its own binary, named operator, which may be running
	if err := command(ctx, out, "go", "build", "-o", binary, "./cmd/operator").Run(); err != nil {
		return fmt.Errorf("build the operator: %w", err)
	}
	logs, err := os.Create(filepath.Join(o.dir, "operator.log"))
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	operator := command(ctx, out, binary,
		"--kubeconfig", kubeconfig, "--namespace", namespace, "--hook-auth-dir", credentials, "--log-format", "text", "--drain-delay", "0s",
		"--hook-bind-address", o.hook, "--probe-bind-address", o.probes, "--metrics-bind-address", o.metrics)
	operator.Stdout, operator.Stderr = io.Discard, logs
	if err := operator.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- operator.Wait() }()
	if err := waitUntilReady(ctx, o.probes, exited); err != nil {
		return fmt.Errorf("%w: see %s", err, logs.Name())
	}
	fmt.Fprintf(out, instructions, kubeconfig, kubectl, samples, "http://"+o.hook+"/okta/registration", credential, logs.Name())
	err = <-exited
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the operator ended: %w: see %s", err, logs.Name())
}

// lock locks the directory against a second process, until the returned function is called or this process ends.
func (o *options) lock() (func(), error) {
	file, err := os.OpenFile(filepath.Join(o.dir, "dev.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another make dev runs in this folder: end it with Ctrl-C, or use it by %s",
			filepath.Join(o.dir, "kubeconfig"))
	}
	return func() { _ = file.Close() }, nil
}

// checkFree returns an error if an address is in use.
func (o *options) checkFree(ctx context.Context, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		others := "make dev HOOK=… PROBES=… METRICS=…"
		if o.proxy != "" {
			others = "make demo HOOK=… PROBES=… METRICS=… PROXY=…"
		}
		return fmt.Errorf("%w (%s)", usage.Listen(address, err), others)
	}
	return listener.Close()
}

// command returns a command that gets SIGTERM at the end of ctx.
func command(ctx context.Context, out io.Writer, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.Stdout, c.Stderr = out, out
	return c
}

// waitUntilReady waits until the operator's readiness probe succeeds.
func waitUntilReady(ctx context.Context, probes string, exited chan error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	client := &http.Client{Timeout: readyWithin}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+probes+"/readyz", nil)
		if err != nil {
			return err
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-exited:
			exited <- err
			return fmt.Errorf("the operator ended: %w", err)
		case <-ctx.Done():
			return errors.New("the operator did not become ready")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

const instructions = `
The operator is ready. In another terminal:

  export KUBECONFIG=%[1]s
  alias kubectl=%[2]s

  kubectl get regpol
  kubectl apply --filename %[3]s/one-company.yaml
  kubectl edit regpol

  # a policy that is valid and probably a mistake gets a warning
  kubectl create --dry-run=server --filename - <<<'{"apiVersion": "registrationpolicy.dev/v1alpha1", "kind": "RegistrationPolicy",
    "metadata": {"name": "everybody"}, "spec": {"allow": {"domains": ["*"]}}}'

  # replace the list that the policy disposable-domains names by your own file
  go run ./cmd/regpol lists sync disposable-domains FILE --adopt

  curl -sS %[4]s -H 'Authorization: %[5]s' -H 'Content-Type: application/json' \
    -d '{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"login":"jo@acme.com","email":"jo@acme.com"}}}'

Logs: %[6]s. Stop with Ctrl-C.
`
