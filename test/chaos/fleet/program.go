package fleet

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// niceValue is the priority of a run: above that of other programs on a shared machine, which would stall it.
const niceValue = -10

// RaisePriority raises the priority of this process and of the programs that it starts later. It does nothing without
// root.
func RaisePriority() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return // not Linux
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, niceValue) // only root may
		}
	}
}

// Program is a program that can be signalled, and started again after it has ended.
type Program struct {
	// Path and Arguments are the command line.
	Path      string
	Arguments []string
	// Environment is the complete environment. nil means none.
	Environment []string
	// Log is the file to which the output is appended.
	Log string

	mu      sync.Mutex
	started *exec.Cmd
	exited  chan struct{}
}

// Start starts the program. The channel is closed when it has ended.
func (p *Program) Start() (exited <-chan struct{}, err error) {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()              // the program has its own descriptor
	command := exec.Command(p.Path, p.Arguments...) //nolint:noctx // Stop or a fault ends it
	command.Stdout, command.Stderr = log, log
	command.Env = append([]string{}, p.Environment...)
	// The kernel kills the program when this process ends for any reason.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started, p.exited = command, ended
	return ended, nil
}

// Signal sends a signal. It fails if the program is not running.
func (p *Program) Signal(signal syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started == nil {
		return errors.New("not started")
	}
	return p.started.Process.Signal(signal)
}

// Running reports whether the program has been started and has not ended. A program stopped by SIGSTOP is running.
func (p *Program) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Stop ends the program by SIGTERM, and after grace by SIGKILL.
func (p *Program) Stop(grace time.Duration) {
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	if exited == nil {
		return
	}
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(grace):
		_ = p.Signal(syscall.SIGKILL)
		<-exited
	}
}
