package proxies

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// slotCount is the number of servers in haproxy's backend, whose addresses can be set at run time: more than any test
// has replicas.
const slotCount = 8

// slotNames returns the names of the servers in haproxy's backend.
func slotNames() []string {
	names := make([]string, slotCount)
	for i := range names {
		names[i] = fmt.Sprintf("srv%03d", i+1)
	}
	return names
}

// fillSlots changes the addresses of haproxy's servers to those of the replicas in backends. It adds new replicas
// before it removes others, so that haproxy always has one.
func (p *Proxy) fillSlots(t testing.TB, backends []string) {
	t.Helper()
	filled := map[string]bool{}
	for _, backend := range p.slots {
		filled[backend] = true
	}
	for _, backend := range backends {
		if filled[backend] {
			continue
		}
		host, port, err := net.SplitHostPort(backend)
		if err != nil {
			t.Fatal(err)
		}
		slot := p.freeSlot(t)
		p.tell(t, "set server hook/%s addr %s port %s", slot, host, port)
		p.tell(t, "set server hook/%s state ready", slot)
		p.slots[slot] = backend
	}
	for slot, backend := range p.slots {
		if !slices.Contains(backends, backend) {
			p.tell(t, "set server hook/%s state maint", slot)
			delete(p.slots, slot)
		}
	}
}

func (p *Proxy) freeSlot(t testing.TB) string {
	t.Helper()
	for _, name := range slotNames() {
		if _, taken := p.slots[name]; !taken {
			return name
		}
	}
	t.Fatalf("more than %d replicas at once", slotCount)
	return ""
}

// tell runs a command that changes haproxy's state, and fails the test if haproxy rejects it.
func (p *Proxy) tell(t testing.TB, format string, arguments ...any) {
	t.Helper()
	order := fmt.Sprintf(format, arguments...)
	answer, err := p.command(t, order)
	answer = strings.TrimSpace(answer)
	if err != nil || answer != "" && !strings.Contains(answer, "changed from") && !strings.Contains(answer, "no need to change") {
		t.Fatalf("haproxy: %s: %v %s", order, err, answer)
	}
}

// command sends a command to haproxy's admin socket, and returns the answer.
func (p *Proxy) command(t testing.TB, line string) (string, error) {
	socket, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(p.dir, "admin"))
	if err != nil {
		return "", err
	}
	defer func() { _ = socket.Close() }()
	if err := socket.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(socket, line+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(socket)
	return string(answer), err
}
