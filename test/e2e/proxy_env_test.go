package e2e

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"registrationpolicy.dev/operator/test/fixture"
)

// The operator gets the keys of an issuer through the proxy that HTTPS_PROXY names, and the hosts of NO_PROXY without it.
func TestTheIssuersKeysAreFetchedThroughTheProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		noProxy string
		want    bool
	}{
		"through the proxy":            {"10.96.0.0/12,.svc,.cluster.local", true},
		"without it, as NO_PROXY says": {"10.96.0.0/12,.svc,.issuer.invalid", false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 100)
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked <- r.Method + " " + r.Host
				w.WriteHeader(http.StatusBadGateway)
			}))
			defer proxy.Close()
			flags := withDirectory(t, policyDirectory(t), "--drain-delay", "0s",
				"--hook-oauth-issuer", "https://org.issuer.invalid/oauth2/default", "--hook-oauth-audience", "api://default",
				"--hook-oauth-client-id", "0oa1", "--hook-oauth-scope", "registration.decide",
				"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0")
			log := &fixture.Transcript{}
			process := exec.CommandContext(t.Context(), binary, flags...)
			process.Env = []string{"HOME=" + t.TempDir(), "HTTPS_PROXY=" + proxy.URL, "NO_PROXY=" + test.noProxy}
			process.Stderr = log
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = process.Process.Kill()
				_ = process.Wait()
			}()
			op := &operator{log: log}
			var line struct{ Error string }
			fixture.Await(t, "a fetch of the keys that fails", func() bool {
				return op.find("OAuth keys not fetched: calls with a token are refused until they are", &line)
			})
			select {
			case got := <-asked:
				if !test.want || got != "CONNECT org.issuer.invalid:443" {
					t.Errorf("the proxy was asked for %s", got)
				}
			case <-time.After(10 * time.Millisecond): // the fetch has ended
				if test.want {
					t.Errorf("the proxy was not asked: %s", line.Error)
				}
			}
		})
	}
}
