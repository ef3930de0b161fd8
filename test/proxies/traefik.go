package proxies

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

// throttle is how long Traefik waits between two changes of its configuration. Its default, 2s, would only prolong the
// tests.
const throttle = "200ms"

// traefikArguments returns the options of Traefik's static configuration.
func (p *Proxy) traefikArguments(t testing.TB) []string {
	t.Helper()
	p.generations = fixture.FreeAddress(t)
	return []string{
		"--entryPoints.https.address=" + p.address,
		"--entryPoints.generation.address=" + p.generations,
		"--providers.file.filename=" + filepath.Join(p.dir, traefikFile),
		"--providers.providersThrottleDuration=" + throttle,
		"--serversTransport.forwardingTimeouts.dialTimeout=500ms",
		"--serversTransport.forwardingTimeouts.responseHeaderTimeout=2s",
		"--ping.manualRouting=true",
		"--accessLog=true", "--log.level=INFO", "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false",
	}
}

// traefikFile is the name of the template and of the file with Traefik's dynamic configuration. Traefik would read a
// traefik.yaml in the working directory as its static one.
const traefikFile = "routes.yaml"

// replaceFile writes a new file of Traefik's dynamic configuration and renames it, so that Traefik never reads a part of
// it. It returns when the configuration is in force.
func (p *Proxy) replaceFile(t testing.TB, backends []string) {
	t.Helper()
	p.generation++
	text := p.rendered(t, traefikFile, backends)
	p.write(t, "next", text)
	if err := os.Rename(filepath.Join(p.dir, "next"), filepath.Join(p.dir, traefikFile)); err != nil {
		t.Fatal(err)
	}
	if !p.await(func() bool { return p.traefikInForce(t) == p.generation }) {
		t.Fatalf("Traefik did not take up its configuration:\n%s", tail(p.Log()))
	}
}

// traefikInForce returns the generation of the configuration with which Traefik answers, or -1 if it does not answer.
func (p *Proxy) traefikInForce(t testing.TB) int {
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+p.generations+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return -1
	}
	_ = response.Body.Close()
	generation, err := strconv.Atoi(response.Header.Get("X-Generation"))
	if err != nil {
		return -1
	}
	return generation
}
