package proxies

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// settled is how many connections in a row must be answered by the new configuration. A single one is not enough,
// because the workers with the old configuration end one by one.
const settled = 8

// reload writes a new configuration and makes nginx reload it, as `nginx -s reload` does. It returns when the
// configuration is in force.
func (p *Proxy) reload(t testing.TB, backends []string) {
	t.Helper()
	p.generation++
	p.configure(t, "nginx.conf", backends)
	if err := p.process.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	seen := 0
	taken := p.await(func() bool {
		if seen++; p.inForce(t) != p.generation {
			seen = 0
		}
		return seen == settled
	})
	if !taken {
		t.Fatalf("nginx did not take up its configuration:\n%s", tail(p.Log()))
	}
}

// inForce returns the generation of the configuration with which nginx answers, or -1 if nginx does not answer.
func (p *Proxy) inForce(t testing.TB) int {
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(p.dir, "generation"))
		},
	}}
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://generation/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return -1
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	generation, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return -1
	}
	return generation
}
