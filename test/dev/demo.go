package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// signUpEvery is the time between two sign-ups of the demo.
const signUpEvery = 250 * time.Millisecond

// signUps are the addresses with which people sign up in the demo, again and again. Their number is odd, so that each of
// the two operators, which take turns, gets the calls of all of them.
var signUps = []string{"jo@acme.com", "kim@elsewhere.example", "max@contractors.acme.com", "eve@mailinator.com", "ann@acme.com"}

// runDemo runs two operators behind a proxy with TLS, and a stand-in for Okta that sends sign-ups, until ctx ends. It
// prints an outcome only when it differs from the last one of this address.
func (o *options) runDemo(ctx context.Context, out io.Writer, kubectl, kubeconfig, credentials string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	fmt.Fprintln(out, "Building and starting two operators…")
	binary := filepath.Join(o.dir, "operator-demo")
	if err := command(ctx, out, "go", "build", "-o", binary, "./cmd/operator").Run(); err != nil {
		return fmt.Errorf("build the operator: %w", err)
	}
	hooks := []string{o.hook}
	operators := []*operator{{name: "operator-1", hook: o.hook, probes: o.probes, metrics: o.metrics}}
	second, err := freeOperator(ctx, "operator-2")
	if err != nil {
		return err
	}
	operators, hooks = append(operators, second), append(hooks, second.hook)
	for _, of := range operators {
		if err := of.start(ctx, o.dir, binary, kubeconfig, credentials); err != nil {
			return err
		}
		defer of.wait()
	}
	defer stop() // before the operators are waited for
	for _, of := range operators {
		if err := waitUntilReady(ctx, of.probes, of.exited); err != nil {
			return fmt.Errorf("%w: see %s", err, of.log)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.proxy)
	if err != nil {
		return err
	}
	proxy := newProxy(listener, hooks)
	defer proxy.Close()
	authority := filepath.Join(o.dir, "proxy-ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(out, demoInstructions, kubeconfig, kubectl, operators[0].log, o.metrics, samples, operators[1].process.Pid,
		"https://"+o.proxy+"/okta/registration", filepath.Join(credentials, "demo"), authority)
	return signUpForever(ctx, out, "https://"+o.proxy+"/okta/registration", proxy.Certificate())
}

// operator is one of the demo's operators.
type operator struct {
	name                  string
	hook, probes, metrics string // its addresses
	log                   string // the file with its log
	process               *os.Process
	exited                chan error
}

// freeOperator returns an operator with addresses that no process uses.
func freeOperator(ctx context.Context, name string) (*operator, error) {
	var addresses []string
	for range 3 {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, listener.Addr().String())
	}
	return &operator{name: name, hook: addresses[0], probes: addresses[1], metrics: addresses[2]}, nil
}

// start starts the operator, which ends with ctx.
func (op *operator) start(ctx context.Context, dir, binary, kubeconfig, credentials string) error {
	op.log = filepath.Join(dir, op.name+".log")
	logs, err := os.Create(op.log)
	if err != nil {
		return err
	}
	process := command(ctx, logs, binary,
		"--kubeconfig", kubeconfig, "--namespace", namespace, "--replica-name", op.name, "--hook-auth-dir", credentials,
		"--log-format", "text", "--drain-delay", "0s",
		"--hook-bind-address", op.hook, "--probe-bind-address", op.probes, "--metrics-bind-address", op.metrics)
	if err := process.Start(); err != nil {
		_ = logs.Close()
		return fmt.Errorf("start %s: %w", op.name, err)
	}
	op.process, op.exited = process.Process, make(chan error, 1)
	go func(process *exec.Cmd) {
		err := process.Wait()
		_ = logs.Close()
		op.exited <- err
	}(process)
	return nil
}

// wait waits until the operator has ended.
func (op *operator) wait() { op.exited <- <-op.exited }

// newProxy serves TLS, and passes each request to the next operator. If that one does not answer, it answers 502, and
// Okta calls again.
func newProxy(listener net.Listener, hooks []string) *httptest.Server {
	var next atomic.Uint64
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			hook := hooks[next.Add(1)%uint64(len(hooks))]
			request.SetURL(&url.URL{Scheme: "http", Host: hook})
		},
		ErrorHandler: func(answer http.ResponseWriter, _ *http.Request, _ error) { answer.WriteHeader(http.StatusBadGateway) },
	})
	_ = proxy.Listener.Close()
	proxy.Listener = listener
	proxy.StartTLS()
	return proxy
}

// signUpForever sends sign-ups until ctx ends, and prints the outcomes that are new.
func signUpForever(ctx context.Context, out io.Writer, url string, authority *x509.Certificate) error {
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	okta, err := oktasim.New(oktasim.Options{URL: url, Credential: credential, RootCAs: roots})
	if err != nil {
		return err
	}
	defer okta.Close()
	last := map[string]string{}
	for i := 0; ; i++ {
		address := signUps[i%len(signUps)]
		result, err := okta.Register(ctx, oktasim.Registration{Login: address, Email: address})
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return nil
			}
			return err
		}
		outcome := result.Outcome.String()
		if outcome != last[address] {
			var text bytes.Buffer
			fmt.Fprintf(&text, "%s  %-26s %s\n", time.Now().Format(time.TimeOnly), address, outcome)
			if _, err := out.Write(text.Bytes()); err != nil {
				return err
			}
			last[address] = outcome
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(signUpEvery):
		}
	}
}

const demoInstructions = `
Two operators answer behind a proxy with TLS. A stand-in for Okta sends five sign-ups again and again; each outcome that
is new is printed below. In another terminal:

  export KUBECONFIG=%[1]s
  alias kubectl=%[2]s

Look at

  # each decision of one operator, with its reason and its policy
  tail -f %[3]s
  # whether each policy is in force on both operators
  kubectl get regpol
  # how many it decided, by outcome and reason
  curl -s http://%[4]s/metrics | grep ^registration_policy_decisions_total

Change something, and see the outcomes change:

  # kim may sign up
  kubectl patch regpol acme --type json -p '[{"op": "add", "path": "/spec/allow/domains/-", "value": "elsewhere.example"}]'
  # contractors may, too
  kubectl delete regpol contractors
  # nothing changes: the other operator answers. This proxy repeats no call, so Okta has to; use one that does
  # (docs/platform/proxies.md). For some minutes, kubectl get regpol still says 2/2 (docs/platform/fleet.md)
  kill %[6]d

Call it yourself:

  go run ./cmd/regpol call %[7]s jo@acme.com \
    --credential-file %[8]s --ca-file %[9]s

More policies: %[5]s. Stop with Ctrl-C.

`
