package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"registrationpolicy.dev/operator/bench/process"
)

const (
	path       = "/okta/registration"
	credential = "Basic YmVuY2g6bm90LWEtc2VjcmV0" // bench:not-a-secret
	policy     = `{apiVersion: registrationpolicy.dev/v1alpha1, kind: RegistrationPolicy, metadata: {name: acme}, spec: {allow: {domains: [acme.com]}}}`
)

// start starts the program with a limit of concurrent calls, reads its log at a number of lines per second, and returns
// the address of the hook. Its files are in dir.
func start(ctx context.Context, program, dir string, limit, lines int) (*process.Process, string, error) {
	for name, text := range map[string]string{"policies/acme.yaml": policy, "credentials/okta": credential} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, "", err
		}
	}
	op, hook, err := process.StartOperator(ctx, program,
		"--policy-dir", filepath.Join(dir, "policies"), "--hook-auth-dir", filepath.Join(dir, "credentials"), "--drain-delay", "0s",
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
		"--max-in-flight", strconv.Itoa(limit))
	if err != nil {
		return nil, "", err
	}
	go op.ReadLog(lines) // ends with the process
	return op, hook, nil
}
