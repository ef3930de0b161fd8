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
	// waitTimeout limits each wait. It only guards against a hang.
	waitTimeout = 3 * time.Minute
	// pollInterval is the interval between polls. Measured times may be too long by as much.
	pollInterval = 10 * time.Millisecond
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

// logFile keeps the beginning of the operator's log, which has the addresses on which it listens. It also writes the
// whole log to file, if that is not nil.
type logFile struct {
	mu   sync.Mutex
	head bytes.Buffer
	file *os.File
}

func (l *logFile) Write(p []byte) (int, error) {
	const maxKept = 1 << 20
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head.Len() < maxKept {
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

// startOperator starts the program and waits until its log has the addresses on which it listens.
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
	if err := op.await(ctx, "the log line with the operator's addresses", func() (bool, error) {
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

// await polls a condition until it is true. It fails if the operator has ended, or after waitTimeout.
func (op *operator) await(ctx context.Context, what string, condition func() (bool, error)) error {
	deadline := time.Now().Add(waitTimeout)
	for {
		done, err := condition()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case done:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s: not within %s", what, waitTimeout)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-op.exited:
			return fmt.Errorf("%s: %w", what, errEnded)
		case <-time.After(pollInterval):
		}
	}
}

// probeTimeout is the timeout of a request to the readiness probe.
const probeTimeout = time.Second

func (op *operator) awaitReady(ctx context.Context) error {
	return op.await(ctx, "readiness", func() (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, op.probes+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := (&http.Client{Timeout: probeTimeout}).Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // the operator may not listen yet
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

// kill ends the operator by SIGKILL, as the OOM killer does.
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

// peakResident returns the peak resident set size of the process, in bytes.
func (op *operator) peakResident() (int64, error) {
	if peak := op.memory("VmHWM"); peak > 0 {
		return peak, nil
	}
	return 0, errEnded
}

// memory returns a field of /proc/PID/status in bytes, or 0 if the process has ended.
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
