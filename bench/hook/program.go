package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// program is a running operator.
type program struct {
	process *exec.Cmd
	dir     string
	address string // host:port of the hook
}

// startProgram builds the operator and starts it with the policies and the credential of newHookServer. Its log goes to
// a pipe that is read at once, as a container runtime reads it.
func startProgram(ctx context.Context) (_ *program, err error) {
	dir, err := os.MkdirTemp("", "bench-hook-")
	if err != nil {
		return nil, err
	}
	p := &program{dir: dir}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	binary := filepath.Join(dir, "operator")
	build := exec.CommandContext(ctx, "go", "build", "-C", "..", "-o", binary, "./cmd/operator")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build the operator: %w", err)
	}
	for name, text := range map[string]string{"policies/bench.yaml": policyFile(), "credentials/bench": credential} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	p.process = exec.CommandContext(ctx, binary,
		"--policy-dir", filepath.Join(dir, "policies"), "--hook-auth-dir", filepath.Join(dir, "credentials"), "--drain-delay", "0s",
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0")
	log, err := p.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(log)
	for p.address == "" {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("the operator ended before it listened: %w", p.process.Wait())
		}
		var starting struct{ Msg, Hook string }
		if json.Unmarshal(line, &starting) == nil && starting.Msg == "Starting" {
			p.address = starting.Hook
		}
	}
	go io.Copy(io.Discard, lines)
	return p, p.waitUntilServing(ctx)
}

// waitUntilServing waits until the hook takes connections, shortly after the line Starting.
func (p *program) waitUntilServing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", p.address)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the operator does not serve: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop kills the operator and removes its files.
func (p *program) stop() {
	if p.process != nil && p.process.Process != nil {
		p.process.Process.Kill()
		p.process.Wait()
	}
	os.RemoveAll(p.dir)
}

// policyFile returns the policies of newStore as YAML.
func policyFile() string {
	var text strings.Builder
	for i := range policies {
		fmt.Fprintf(&text, "---\napiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: policy-%02d}\n"+
			"spec:\n  message: %s\n  allow:\n    domains:\n", i, message)
		for j := range domainsOfAPolicy {
			fmt.Fprintf(&text, "    - %s\n", domain(i*domainsOfAPolicy+j))
		}
	}
	return text.String()
}
