package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	path       = "/okta/registration"
	credential = "Basic YmVuY2g6bm90LWEtc2VjcmV0" // bench:not-a-secret
	policy     = `{apiVersion: registrationpolicy.dev/v1alpha1, kind: RegistrationPolicy, metadata: {name: acme}, spec: {allow: {domains: [acme.com]}}}`
)

// build builds the operator's program into dir.
func build(ctx context.Context, dir string) error {
	command := exec.CommandContext(ctx, "go", "build", "-C", "..", "-o", filepath.Join(dir, "operator"), "./cmd/operator")
	command.Stderr = os.Stderr
	return command.Run()
}

// operator is one running process.
type operator struct {
	process *exec.Cmd
	hook    string // host:port
}

// start starts the program in dir with a limit of concurrent calls, and reads its log at a number of lines per second.
func start(ctx context.Context, dir string, limit, lines int) (*operator, error) {
	for name, text := range map[string]string{"policies/acme.yaml": policy, "credentials/okta": credential} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	op := &operator{process: exec.CommandContext(ctx, filepath.Join(dir, "operator"),
		"--policy-dir", filepath.Join(dir, "policies"), "--hook-auth-dir", filepath.Join(dir, "credentials"), "--drain-delay", "0s",
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
		"--max-in-flight", strconv.Itoa(limit))}
	log, err := op.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := op.process.Start(); err != nil {
		return nil, err
	}
	said := bufio.NewReader(log)
	for op.hook == "" {
		line, err := said.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("the operator ended before it listened: %w", op.process.Wait())
		}
		var starting struct{ Msg, Hook string }
		if json.Unmarshal(line, &starting) == nil && starting.Msg == "Starting" {
			op.hook = starting.Hook
		}
	}
	go readLog(said, lines)
	return op, nil
}

// readLog reads a number of lines per second from a log, like a busy container runtime. 0 reads all lines at once.
func readLog(log *bufio.Reader, lines int) {
	if lines == 0 {
		_, _ = io.Copy(io.Discard, log)
		return
	}
	const parts = 20 // reads per second
	for {
		for range max(1, lines/parts) {
			if _, err := log.ReadSlice('\n'); err != nil {
				return
			}
		}
		time.Sleep(time.Second / parts)
	}
}

// stop kills the operator.
func (op *operator) stop() {
	_ = op.process.Process.Signal(syscall.SIGKILL)
	_ = op.process.Wait()
}
