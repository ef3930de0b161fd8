// Command dev runs what the operator lives in, for trying it by hand: a control plane, the CustomResourceDefinition, the
// samples, and the operator beside them. It prints a kubeconfig and what to type, and stops everything on SIGINT or SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	dir         = ".dev" // beside the Makefile, ignored by git
	credential  = "demo-credential-not-a-secret"
	namespace   = "default"
	samples     = "config/samples"
	hookURL     = "http://127.0.0.1:8080/okta/registration"
	readyURL    = "http://127.0.0.1:8081/readyz"
	readyWithin = 30 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	credentials := filepath.Join(dir, "hook-auth")
	if err := os.MkdirAll(credentials, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(credentials, "demo"), []byte(credential+"\n"), 0o600); err != nil {
		return err
	}

	fmt.Println("Starting etcd and kube-apiserver…")
	plane := &envtest.Environment{
		CRDDirectoryPaths:     []string{"config/crd/bases"},
		ErrorIfCRDPathMissing: true,
	}
	if _, err := plane.Start(); err != nil {
		return fmt.Errorf("start the control plane: %w", err)
	}
	defer func() { _ = plane.Stop() }()
	kubeconfig, err := filepath.Abs(filepath.Join(dir, "kubeconfig"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(kubeconfig, plane.KubeConfig, 0o600); err != nil {
		return err
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if err := command(ctx, kubectl, "--kubeconfig", kubeconfig, "apply", "--namespace", namespace,
		"--filename", filepath.Join(samples, "quickstart")).Run(); err != nil {
		return fmt.Errorf("apply the samples: %w", err)
	}

	fmt.Println("Building and starting the operator…")
	binary := filepath.Join(dir, "operator")
	if err := command(ctx, "go", "build", "-o", binary, "./cmd/operator").Run(); err != nil {
		return fmt.Errorf("build the operator: %w", err)
	}
	logs, err := os.Create(filepath.Join(dir, "operator.log"))
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	operator := command(ctx, binary,
		"--kubeconfig", kubeconfig, "--namespace", namespace, "--hook-auth-dir", credentials, "--log-format", "text", "--drain-delay", "0s",
		"--hook-bind-address", "127.0.0.1:8080", "--probe-bind-address", "127.0.0.1:8081", "--metrics-bind-address", "127.0.0.1:9090")
	operator.Stdout, operator.Stderr = io.Discard, logs
	if err := operator.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- operator.Wait() }()
	if err := ready(ctx, exited); err != nil {
		return fmt.Errorf("%w: see %s", err, logs.Name())
	}
	fmt.Printf(lines, kubeconfig, kubectl, namespace, samples, hookURL, credential, logs.Name())
	err = <-exited
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the operator ended: %w: see %s", err, logs.Name())
}

// command is one that ends with ctx, politely.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c
}

func ready(ctx context.Context, exited <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	client := &http.Client{Timeout: readyWithin}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, readyURL, nil)
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
			return fmt.Errorf("the operator ended: %w", err)
		case <-ctx.Done():
			return errors.New("the operator did not become ready")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

const lines = `
The operator answers. In another terminal:

  export KUBECONFIG=%[1]s
  alias kubectl=%[2]s

  kubectl get regpol --namespace %[3]s
  kubectl apply --namespace %[3]s --filename %[4]s/one-company.yaml
  kubectl edit regpol --namespace %[3]s

  curl -sS %[5]s -H 'Authorization: %[6]s' -H 'Content-Type: application/json' \
    -d '{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"login":"jo@acme.com","email":"jo@acme.com"}}}'

Logs: %[7]s. Stop with Ctrl-C.
`
