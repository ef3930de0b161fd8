package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/rules"
)

const (
	path       = hookserver.DefaultPath
	credential = "Basic YmVuY2g6bm90LWEtc2VjcmV0" // bench:not-a-secret
)

// The size of the rules: an org with a few partners.
const (
	policies         = 10
	domainsOfAPolicy = 100
	message          = "Please sign up with your company address."
)

// newHookServer returns the hook server as the operator runs it, with authentication, metrics, and JSON log lines,
// which are discarded.
func newHookServer() (*hookserver.Server, error) {
	store, err := newStore()
	if err != nil {
		return nil, err
	}
	credentials, err := newCredentials()
	if err != nil {
		return nil, err
	}
	return hookserver.New(hookserver.Options{
		Store:       store,
		Credentials: credentials,
		Registerer:  prometheus.NewRegistry(),
		Logger:      logr.FromSlogHandler(slog.NewJSONHandler(io.Discard, nil)),
		DecisionLog: &hookserver.DecisionLog{Writer: io.Discard},
	})
}

func newStore() (*rules.Store, error) {
	written := make([]rules.Policy, policies)
	for i := range written {
		written[i].PolicyName = rules.PolicyName{Namespace: "okta", Name: fmt.Sprintf("policy-%02d", i)}
		written[i].Message = message
		for j := range domainsOfAPolicy {
			written[i].Allow.Domains = append(written[i].Allow.Domains, domain(i*domainsOfAPolicy+j))
		}
	}
	snapshot, rejections := rules.Compile(written)
	if len(rejections) > 0 {
		return nil, fmt.Errorf("the policies are rejected: %v", rejections)
	}
	store := &rules.Store{}
	store.Publish(snapshot)
	return store, nil
}

// newCredentials loads the credential from a directory, as the operator does. It removes the directory, because the
// credential does not change.
func newCredentials() (*hookserver.Credentials, error) {
	dir, err := os.MkdirTemp("", "bench-hook-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "bench"), []byte(credential), 0o600); err != nil {
		return nil, err
	}
	return hookserver.LoadCredentials(dir, logr.Discard())
}

// domain returns the i-th allowed domain.
func domain(i int) string { return fmt.Sprintf("company-%04d.example.com", i) }
