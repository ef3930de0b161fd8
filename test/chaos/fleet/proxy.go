package fleet

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"
)

//go:embed haproxy.cfg
var proxyConfiguration string

// slotCount is the number of haproxy's server slots: enough for a fleet and its terminating pods.
const slotCount = 12

// commandTimeout is the timeout of a command on haproxy's socket.
const commandTimeout = 10 * time.Second

// acceptTimeout is the timeout for a replica to accept a connection.
const acceptTimeout = time.Second

// Proxy is a running haproxy that passes calls to the replicas.
type Proxy struct {
	program *Program
	address string
	socket  string
	ports   Ports
	checks  bool

	mu     sync.Mutex
	slots  map[string]string // by slot, the address of its pod; "" if it is free
	states map[string]string // by slot, "ready" or "drain"
}

// StartProxy starts the haproxy in the directory programs, with its files in dir, and returns when it serves. With
// checks, haproxy itself checks which replicas are ready. Without, it relies on [Proxy.Set], and repeats refused
// connections.
func StartProxy(programs, dir string, ports Ports, checks bool) (*Proxy, error) {
	p := &Proxy{
		address: FreeAddress(), socket: filepath.Join(dir, "admin"), ports: ports, checks: checks,
		slots: map[string]string{}, states: map[string]string{},
	}
	var slots []string
	for i := range slotCount {
		slots = append(slots, fmt.Sprintf("slot%02d", i))
	}
	var text bytes.Buffer
	if err := template.Must(template.New("haproxy.cfg").Parse(proxyConfiguration)).Execute(&text, map[string]any{
		"Socket": p.socket, "Address": p.address, "Probes": ports.Probes, "Slots": slots, "Checks": checks,
	}); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	for _, slot := range slots {
		p.slots[slot] = ""
	}
	p.program = &Program{
		Path: filepath.Join(programs, "haproxy"), Arguments: []string{"-db", "-f", file}, Log: filepath.Join(dir, "haproxy.log"),
		Environment: os.Environ(),
	}
	if _, err := p.program.Start(); err != nil {
		return nil, err
	}
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := p.command("show version"); err == nil {
			return p, nil
		}
		if !p.program.Running() || time.Since(begin) > commandTimeout {
			return nil, fmt.Errorf("haproxy does not start: see %s", p.program.Log)
		}
	}
}

// URL returns the hook's address behind the proxy.
func (p *Proxy) URL() string { return "http://" + p.address + "/okta/registration" }

// Stop ends haproxy.
func (p *Proxy) Stop() { p.program.Stop(endWithin) }

// Set configures the addresses of the replicas. Those in ready get calls. Those only in drained keep their connections
// and get no new ones. All others are removed.
func (p *Proxy) Set(port int, ready, drained []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[string]string{}
	for _, pod := range drained {
		wanted[pod] = "drain"
	}
	for _, pod := range ready {
		wanted[pod] = "ready"
	}
	held := map[string]bool{}
	for slot, pod := range p.slots {
		if pod == "" {
			continue
		}
		held[pod] = true
		state := wanted[pod]
		if state == "" {
			if err := p.change("set server hook/%s state maint", slot); err != nil {
				return err
			}
			p.slots[slot], p.states[slot] = "", ""
		} else if state != p.states[slot] {
			if err := p.change("set server hook/%s state %s", slot, state); err != nil {
				return err
			}
			p.states[slot] = state
		}
	}
	for _, pod := range ready {
		if held[pod] {
			continue
		}
		slot := p.free()
		if slot == "" {
			return fmt.Errorf("more than %d replicas at once", slotCount)
		}
		if err := p.change("set server hook/%s addr %s port %d", slot, pod, port); err != nil {
			return err
		}
		if err := p.change("set server hook/%s state ready", slot); err != nil {
			return err
		}
		p.slots[slot], p.states[slot] = pod, "ready"
	}
	return nil
}

func (p *Proxy) free() string {
	for i := range slotCount {
		if slot := fmt.Sprintf("slot%02d", i); p.slots[slot] == "" {
			return slot
		}
	}
	return ""
}

// Up returns the addresses of the replicas that currently get and accept calls.
func (p *Proxy) Up() (map[string]bool, error) {
	if !p.checks {
		return p.accepting(), nil
	}
	answer, err := p.command("show stat hook 4 -1")
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	up := map[string]bool{}
	for line := range strings.Lines(answer) {
		const nameColumn, statusColumn = 1, 17
		columns := strings.Split(line, ",")
		if len(columns) > statusColumn && strings.HasPrefix(columns[statusColumn], "UP") {
			if pod := p.slots[columns[nameColumn]]; pod != "" {
				up[pod] = true
			}
		}
	}
	return up, nil
}

// accepting returns the addresses of the replicas that are set as ready and accept connections.
func (p *Proxy) accepting() map[string]bool {
	p.mu.Lock()
	var ready []string
	for slot, pod := range p.slots {
		if p.states[slot] == "ready" {
			ready = append(ready, pod)
		}
	}
	p.mu.Unlock()
	up := map[string]bool{}
	for _, pod := range ready {
		ctx, cancel := context.WithTimeout(context.Background(), acceptTimeout)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(pod, strconv.Itoa(p.ports.Hook)))
		cancel()
		if err == nil {
			_ = conn.Close()
			up[pod] = true
		}
	}
	return up
}

// change runs a command that changes haproxy's state, and fails if haproxy rejects it.
func (p *Proxy) change(format string, arguments ...any) error {
	order := fmt.Sprintf(format, arguments...)
	answer, err := p.command(order)
	if err != nil {
		return fmt.Errorf("haproxy: %s: %w", order, err)
	}
	answer = strings.TrimSpace(answer)
	if answer != "" && !strings.Contains(answer, "changed from") && !strings.Contains(answer, "no need to change") {
		return fmt.Errorf("haproxy: %s: %s", order, answer)
	}
	return nil
}

func (p *Proxy) command(line string) (string, error) {
	socket, err := (&net.Dialer{Timeout: commandTimeout}).DialContext(context.Background(), "unix", p.socket)
	if err != nil {
		return "", err
	}
	defer func() { _ = socket.Close() }()
	if err := socket.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(socket, line+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(socket)
	return string(answer), err
}
