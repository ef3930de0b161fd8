package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
)

const (
	credential = "Basic bWVtb3J5OmEtc2VjcmV0LW9mLXRoZS10ZXN0"
	// patience is how long anything may take that is expected at all: a bound against a hang, not a promise.
	patience = 3 * time.Minute
	// look is the time between two looks at what is awaited, and so the error of each time measured.
	look = 10 * time.Millisecond
)

var errEnded = errors.New("the operator has ended")

// operator is one running process.
type operator struct {
	process *exec.Cmd
	log     *logFile
	exited  chan struct{}
	hook    *oktasim.Hook
	probes  string
}

// logFile keeps the first line that says where the operator listens, and writes all to a file if there is one.
type logFile struct {
	mu   sync.Mutex
	head bytes.Buffer
	file *os.File
}

func (l *logFile) Write(p []byte) (int, error) {
	const most = 1 << 20
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head.Len() < most {
		l.head.Write(p)
	}
	if l.file != nil {
		_, _ = l.file.Write(p)
	}
	return len(p), nil
}

func (l *logFile) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(l.head.String(), "\n")
}

// startOperator starts the program in a cgroup and waits until it says where it listens.
func startOperator(ctx context.Context, command []string, logTo string) (*operator, error) {
	op := &operator{log: &logFile{}, exited: make(chan struct{})}
	op.process = exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	if logTo != "" {
		file, err := os.OpenFile(logTo, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		op.log.file = file
	}
	op.process.Env = []string{"HOME=" + filepath.Dir(command[0])}
	op.process.Stderr = op.log
	if err := op.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = op.process.Wait()
		close(op.exited)
	}()
	var line struct{ Msg, Hook, Probes string }
	if err := op.await(ctx, "the line that says where the operator listens", func() (bool, error) {
		for _, text := range op.log.lines() {
			if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "Starting" {
				return true, nil
			}
		}
		return false, nil
	}); err != nil {
		op.kill()
		return nil, errors.Join(err, errors.New(strings.Join(op.log.lines(), "\n")))
	}
	op.probes = "http://" + line.Probes
	hook, err := oktasim.New(oktasim.Options{URL: "http://" + line.Hook + "/okta/registration", Credential: credential, Attempts: 1})
	if err != nil {
		op.kill()
		return nil, err
	}
	op.hook = hook
	return op, nil
}

// await looks until what is awaited is there, the operator has ended, or patience has.
func (op *operator) await(ctx context.Context, what string, there func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		found, err := there()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case found:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s: not within %s", what, patience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-op.exited:
			return fmt.Errorf("%s: %w", what, errEnded)
		case <-time.After(look):
		}
	}
}

// probeTimeout is how long a probe may take, as in the chart.
const probeTimeout = time.Second

func (op *operator) awaitReady(ctx context.Context) error {
	return op.await(ctx, "readiness", func() (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, op.probes+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := (&http.Client{Timeout: probeTimeout}).Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // it may not listen yet
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK, nil
	})
}

// decide returns the reason of the decision on a registration.
func (op *operator) decide(ctx context.Context, source, address string) (rules.Reason, error) {
	result, err := op.hook.Register(ctx, oktasim.Registration{Email: address, Source: source})
	switch {
	case err != nil:
		return "", err
	case result.Status != http.StatusOK:
		return "", fmt.Errorf("status %d, %w", result.Status, result.Err)
	}
	var debug struct{ Reason rules.Reason }
	if err := json.Unmarshal([]byte(result.DebugContext), &debug); err != nil {
		return "", err
	}
	return debug.Reason, nil
}

// kill ends the operator as the kernel does when memory is short.
func (op *operator) kill() {
	_ = op.process.Process.Kill()
	<-op.exited
	if op.hook != nil {
		op.hook.Close()
	}
	if op.log.file != nil {
		_ = op.log.file.Close()
	}
}

// resident returns the most that the process has had resident at once, in bytes.
func (op *operator) resident() (int64, error) {
	if most := op.memory("VmHWM"); most > 0 {
		return most, nil
	}
	return 0, errEnded
}

// memory returns a figure of /proc/PID/status in bytes; 0 if the process has ended.
func (op *operator) memory(field string) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", op.process.Process.Pid))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), field+":"); found {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
