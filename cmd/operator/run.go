package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/hookserver/oauth"
	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/internal/version"
	"registrationpolicy.dev/operator/rules"
)

// sourceTimeout is how long the [policySource] may take to stop. It is less than the 5 s that the chart adds to the
// grace period of a pod, so that the process still ends by itself.
const sourceTimeout = 4 * time.Second

// listenCheckInterval is the time between two checks of [operator.canAnswer] before the hook listens.
const listenCheckInterval = 5 * time.Millisecond

// operator is the program with all of its parts. Its configuration has been checked and its sockets are bound.
type operator struct {
	options   *options
	logger    logr.Logger
	listeners *listeners
	ready     *readiness

	hook        *hookserver.Server
	store       *rules.Store
	fenced      func() bool             // reports whether --fence-after forbids answers now; nil without that flag
	credentials *credentials.Files      // nil without --hook-auth-dir
	oauth       *oauth.Verifier         // nil without --hook-oauth-issuer
	certificate *hookserver.Certificate // nil without --hook-tls-dir
	probes      *http.Server
	metrics     *http.Server
	policies    policySource
	dropped     prometheus.Counter // counts the log lines that were dropped
	flushLog    func()             // waits for the last log lines; os.Exit without it would lose them
}

// policySource is the source of the rules: a cluster or a directory.
type policySource interface {
	// Start keeps the store up to date until ctx ends. It fails if it cannot continue.
	Start(ctx context.Context) error
}

// run runs the program until a signal or a failure.
func run(args, environ []string) error {
	options, err := parseOptions(args, environ)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if options.version {
		_, err := fmt.Fprintln(os.Stdout, "operator", version.Long())
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	log := newStartBuffer()
	logger := newLogger(options, log)
	operator, err := newOperator(options, logger, log)
	if err != nil {
		return err
	}
	queue := newLogQueue(os.Stderr, operator.dropped, logr.FromSlogHandler(newLogHandler(options, os.Stderr)))
	log.release(queue)
	operator.flushLog = queue.flush
	defer queue.flush()
	return operator.run(signals)
}

// newOperator returns an operator that serves nothing yet. The lines of decisions are written to log in the format of
// the logger, or by the logger if log is nil.
func newOperator(o *options, logger logr.Logger, log io.Writer) (_ *operator, err error) {
	store := &rules.Store{}
	op := &operator{options: o, logger: logger, store: store, dropped: newDroppedLinesMetric(), flushLog: func() {}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newVersionMetric(), op.dropped)
	memory, err := setMemoryLimit()
	if err != nil {
		logger.Error(err, "Memory limit not known: budgets are shared out of 1 GiB")
	}
	registry.MustRegister(newMemoryMetrics(memory)...)
	logger.Info("Memory", "limit", memory.hard, "goMemoryLimit", memory.soft)
	op.ready = &readiness{store: store, observe: o.observe, insecure: o.insecureNoAuth, maxStaleness: o.maxStaleness}
	registry.MustRegister(newReadyMetric(op.ready))

	if o.authDir != "" {
		if op.credentials, err = credentials.Load(o.authDir, logger.WithName("credentials")); err != nil {
			return nil, fmt.Errorf("--hook-auth-dir: %w", err)
		}
	}
	if o.usesOAuth() {
		settings := o.oauth
		settings.Logger = logger.WithName("oauth")
		if op.oauth, err = oauth.New(settings); err != nil {
			return nil, optionerror.ByFlag(err, oauthOptionFlags)
		}
		op.ready.oauth = op.oauth.State
	}
	if o.hookTLSDir != "" {
		if op.certificate, err = hookserver.LoadCertificate(o.hookTLSDir, logger.WithName("certificate")); err != nil {
			return nil, fmt.Errorf("--hook-tls-dir: %w", err)
		}
		if err = op.certificate.Register(registry); err != nil {
			return nil, err
		}
	}
	if o.policyDir != "" {
		directory, err := policyfile.OpenDirectory(o.policyDir, store, o.scopes, publish.NewMetrics(registry), logger.WithName("rules"))
		if err != nil {
			return nil, fmt.Errorf("--policy-dir: %w", err)
		}
		if err := directory.Load(context.Background()); err != nil {
			return nil, fmt.Errorf("--policy-dir: %w", err)
		}
		op.ready.policyErr = directory.Err
		op.policies = directory
	} else {
		if err := o.shareMemory(memory, logger); err != nil {
			return nil, err
		}
		cluster, err := newCluster(o, store, registry, logger)
		if err != nil {
			return nil, err
		}
		op.policies, op.ready.cluster = cluster, cluster
		if o.fenceAfter > 0 {
			op.fenced = cluster.replica.Fenced
		}
	}
	if op.hook, err = hookserver.New(hookserver.Options{
		Store: store, Credentials: op.credentials, OAuth: op.oauth, InsecureNoAuthentication: o.insecureNoAuth,
		Registerer: registry, Logger: logger.WithName(hookLogger), DecisionLog: newDecisionLog(o, log),
		Path: o.hookPath, HealthPath: o.hookHealthPath, Ready: op.ready.recent,
		AuthHeader: o.authHeader, AddressAttributes: o.attributes, Texts: o.texts,
		LogDomain: hookserver.LogDomain(o.logDomain), Observe: o.observe, MaxInFlight: o.maxInFlight, Fenced: op.fenced,
	}); err != nil {
		return nil, optionerror.ByFlag(err, hookFlags)
	}
	op.probes = newProbeServer(op.ready, logger.WithName("probes"))
	op.metrics = newMetricsServer(prometheus.Gatherers{registry, ctrlmetrics.Registry}, op.ready, logger.WithName("metrics"))

	if op.listeners, err = listen(o); err != nil {
		return nil, err
	}
	return op, nil
}

// run serves until a signal or a failure, and then stops in an order that loses no call. First the replica becomes
// unready. It keeps answering, with current rules, for the drain delay, until proxies stop sending calls. Then it stops
// the hook, the policy source, and last the probes. A second signal ends the process at once.
func (op *operator) run(signals <-chan os.Signal) error {
	background, stopBackground := context.WithCancel(context.Background())
	defer stopBackground()
	failed := make(chan error, 8) // one for each goroutine below at least, so that none of them waits to send
	start := func(f func() error) <-chan struct{} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := f(); err != nil {
				failed <- err
			}
		}()
		return ended
	}
	op.logStart()
	probesEnded := start(func() error { return serveSide(op.probes, op.listeners.probe) })
	metricsEnded := start(func() error { return serveSide(op.metrics, op.listeners.metrics) })
	if op.credentials != nil {
		start(func() error { return op.credentials.Run(background) })
	}
	if op.oauth != nil {
		start(func() error { return op.oauth.Run(background) })
	}
	if op.certificate != nil {
		start(func() error { return op.certificate.Run(background) })
	}
	policiesEnded := start(func() error {
		err := op.policies.Start(background)
		if err == nil && background.Err() == nil {
			err = errors.New("the watch of policies ended")
		}
		return err
	})
	awaitingRules, stopAwaiting := context.WithCancel(background)
	defer stopAwaiting()
	hookEnded := start(func() error { return op.serveHook(awaitingRules) })

	var failure error
	select {
	case failure = <-failed:
		op.logger.Error(failure, "Stopping")
	case received := <-signals:
		op.logger.Info("Stopping", "signal", received.String(), "drainDelay", op.options.drainDelay.String())
	}
	stopped := make(chan struct{})
	go func() {
		select {
		case received := <-signals:
			loglevel.Warn(op.logger, "Ending at once", "signal", received.String())
			op.flushLog()
			os.Exit(1)
		case <-stopped:
		}
	}()
	defer close(stopped)

	op.ready.draining.Store(true)
	stopAwaiting()
	if op.ready.cluster != nil {
		op.ready.cluster.drain()
	}
	op.hook.Drain()
	time.Sleep(op.options.drainDelay)

	inFlight, cancel := context.WithTimeout(context.Background(), op.options.shutdownTimeout)
	defer cancel()
	failure = errors.Join(failure, op.hook.Shutdown(inFlight))
	<-hookEnded
	stopBackground()
	select {
	case <-policiesEnded:
	case <-time.After(sourceTimeout): // the API server or the disk does not answer; the kubelet would soon kill the pod
		loglevel.Warn(op.logger, "Policy source did not stop in time", "waited", sourceTimeout.String())
	}
	failure = errors.Join(failure, op.metrics.Close(), op.probes.Close())
	<-metricsEnded
	<-probesEnded
	op.logger.Info("Stopped")
	return failure
}

// serveHook starts to listen once rules are in force and --fence-after allows answers, and serves calls until the hook
// is shut down. Before it listens, the kernel refuses connections: a proxy retries a refused connection on another
// replica, but must not retry a call that was answered 503. If ctx ends before that, serveHook returns at once.
func (op *operator) serveHook(ctx context.Context) error {
	check := time.NewTicker(listenCheckInterval)
	defer check.Stop()
	for !op.canAnswer() {
		select {
		case <-ctx.Done():
			return op.listeners.hook.Close()
		case <-check.C:
		}
	}
	listener, err := op.listeners.hook.listen()
	if err != nil {
		return fmt.Errorf("--hook-bind-address: %w", usage.Listen(op.options.hookAddress, err))
	}
	op.ready.listening.Store(true)
	op.logger.Info("Hook listens", "address", listener.Addr().String())
	return op.hook.Serve(listener, op.certificate.TLS())
}

// canAnswer reports whether a call would be answered now with a decision.
func (op *operator) canAnswer() bool {
	_, err := op.store.Load()
	return err == nil && (op.fenced == nil || !op.fenced())
}

// logStart logs the configuration, and warns of insecure and unknown settings.
func (op *operator) logStart() {
	o := op.options
	source := []any{"policyDir", o.policyDir}
	if o.policyDir == "" {
		source = []any{"namespaces", o.watchNamespaces}
	}
	op.logger.Info("Starting", append(source,
		"hook", op.listeners.hook.Addr().String(), "path", o.hookPath, "tls", o.hookTLSDir != "",
		"probes", op.listeners.probe.Addr().String(), "metrics", op.listeners.metrics.Addr().String())...)
	for _, namespace := range o.scopes.Namespaces() {
		op.logger.Info("Namespace is bounded: its policies decide calls of these sources only",
			"namespace", namespace, "sources", o.scopes[namespace])
	}
	for _, name := range o.unknownVariables {
		loglevel.Warn(op.logger, "Environment variable is no flag's: is it misspelt?", "variable", name)
	}
	if o.observe {
		loglevel.Warn(op.logger, "Observing: every call is allowed, nothing is enforced", "flag", "--observe")
	}
	if o.insecureNoAuth {
		loglevel.Warn(op.logger, "No authentication: anybody who reaches the hook is answered", "flag", "--insecure-no-authentication")
	}
}
