// Package process builds and runs the measured programs, each in a process of its own, and reads from /proc what they
// take of the machine.
package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is the time that a program has to end after a SIGTERM.
const stopTimeout = 10 * time.Second

// Build builds a package of a module into a directory, and returns the path of the program.
func Build(ctx context.Context, module, pkg, dir string) (string, error) {
	program, err := filepath.Abs(filepath.Join(dir, filepath.Base(pkg)))
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "build", "-C", module, "-trimpath", "-ldflags", "-s -w", "-o", program, pkg)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return program, nil
}

// Process is a running program.
type Process struct {
	command *exec.Cmd
	log     *bufio.Reader
}

// start starts a program with a pipe for its standard error, its log.
func start(ctx context.Context, program string, arguments []string) (*Process, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	log, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	return &Process{command, bufio.NewReader(log)}, nil
}

// StartServer starts a program that writes a line "listening HOST:PORT" to its log, and returns that address. The
// caller must call ReadLog.
func StartServer(ctx context.Context, program string, arguments ...string) (*Process, string, error) {
	return startServer(ctx, func(line string) (string, bool) { return strings.CutPrefix(line, "listening ") }, program, arguments)
}

// StartOperator starts an operator, and returns the address of its hook when that listens. The caller must
// call ReadLog.
func StartOperator(ctx context.Context, program string, arguments ...string) (*Process, string, error) {
	return startServer(ctx, func(line string) (string, bool) {
		var listens struct{ Msg, Address string }
		err := json.Unmarshal([]byte(line), &listens)
		return listens.Address, err == nil && listens.Msg == "Hook listens"
	}, program, arguments)
}

func startServer(
	ctx context.Context, address func(line string) (string, bool), program string, arguments []string,
) (*Process, string, error) {
	p, err := start(ctx, program, arguments)
	if err != nil {
		return nil, "", err
	}
	last := ""
	for {
		line, err := p.log.ReadString('\n')
		if err != nil {
			p.Stop()
			return nil, "", fmt.Errorf("%s ended before it served; its last line is %q", filepath.Base(program), last)
		}
		last = strings.TrimSpace(line)
		if found, ok := address(last); ok {
			return p, found, nil
		}
	}
}

// ReadLog reads the log as fast as it comes until the program ends, or, like a busy container runtime, a number of lines
// a second.
func (p *Process) ReadLog(linesPerSecond int) {
	if linesPerSecond == 0 {
		_, _ = io.Copy(io.Discard, p.log)
		return
	}
	const parts = 20 // reads per second
	for {
		for range max(1, linesPerSecond/parts) {
			if _, err := p.log.ReadSlice('\n'); err != nil {
				return
			}
		}
		time.Sleep(time.Second / parts)
	}
}

// Stop ends the program by SIGTERM, or by SIGKILL after stopTimeout, and waits for its end.
func (p *Process) Stop() {
	kill := time.AfterFunc(stopTimeout, func() { _ = p.command.Process.Kill() })
	defer kill.Stop()
	_ = p.command.Process.Signal(syscall.SIGTERM)
	_ = p.command.Wait() // how it ends is not measured
}

// CPU returns the CPU time that the program has taken so far, in user and kernel mode.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	const (
		tick            = time.Second / 100 // proc(5): 1/sysconf(_SC_CLK_TCK), which Linux fixes for programs
		userAt, ofAfter = 11, 13            // fields 14 and 15 of proc(5), counted after the name, which may have blanks
	)
	_, after, _ := bytes.Cut(stat, []byte(") "))
	fields := bytes.Fields(after)
	if len(fields) < ofAfter {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields", len(fields))
	}
	user, userErr := strconv.Atoi(string(fields[userAt]))
	system, systemErr := strconv.Atoi(string(fields[userAt+1]))
	return time.Duration(user+system) * tick, errors.Join(userErr, systemErr)
}

// Resident returns the resident memory of the program in bytes.
func (p *Process) Resident() (int64, error) {
	status, err := p.proc("status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}

func (p *Process) proc(file string) ([]byte, error) {
	return os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), file))
}
