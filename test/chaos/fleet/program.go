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

// ahead is how much sooner than others what belongs to a run gets the processor, where that may be set: what other programs
// of a shared machine do is not what is under test. It is a nice value.
const ahead = -10

// Ahead gives the calling program, and all that it starts from now on, the processor sooner than others, where it may.
func Ahead() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return // not Linux
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, ahead) // only root may
		}
	}
}

// Program is a program that can be started again and again, and gets signals in between.
type Program struct {
	// Path and Arguments are what is started.
	Path      string
	Arguments []string
	// Environment is all of it; nil means none.
	Environment []string
	// Log is the file that takes its output, added to.
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
	defer func() { _ = log.Close() }()              // the program has its own
	command := exec.Command(p.Path, p.Arguments...) //nolint:noctx // its end is Stop's, or a fault's
	command.Stdout, command.Stderr = log, log
	command.Env = append([]string{}, p.Environment...)
	// What is started ends with us, whatever we end by.
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

// Signal sends a signal. It fails where the program is not running.
func (p *Program) Signal(signal syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started == nil {
		return errors.New("not started")
	}
	return p.started.Process.Signal(signal)
}

// Running says whether the program has been started and has not ended. A stopped one is running.
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

// Stop ends the program: by SIGTERM, and by SIGKILL if that takes longer than grace.
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
