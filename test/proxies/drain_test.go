package proxies

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

// A proxy that connects to the virtual IP address of the Service does not see endpoints. Its kept connections lead to
// the same replica until the replica closes them.
func TestADrainingReplicaSendsItsCallersElsewhere(t *testing.T) {
	t.Parallel()
	replica := startReplica(t, "--drain-delay", "1m") // for as long as the test
	replica.terminate(t)
	fixture.Await(t, "unready after SIGTERM", func() bool { return !replica.ready() })
	text := strings.Replace(post(allowedBody, "Authorization: "+credential), "Connection: close\r\n", "", 1)
	if got := directly(t, replica, text); !allows(got) || !strings.Contains(got, "\r\nConnection: close\r\n") {
		t.Errorf("a draining replica did not answer and close:\n%s", got)
	}
}

func TestAReplicaThatIsGoneCostsNoCall(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		gone := fixture.FreeAddress(t) // nothing listens there
		proxy := Start(t, kind, Options{Backends: append(startReplicas(t, 1), gone), Repeats: kind == Traefik})
		attempts, besides := 1, []oktasim.Kind(nil)
		if kind == Traefik { // it takes the next replica in turn, which may be the same again
			attempts, besides = oktasim.DefaultAttempts, []oktasim.Kind{oktasim.KindStatus}
		}
		load := startLoad(t, proxy, attempts, besides...)
		load.awaitCalls(t, 4*callers)
		load.stop(t)
	})
}

func TestAProxyGivesUpOnAReplicaThatAcceptsAndDoesNotAnswer(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		frozen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = frozen.Close() }()
		proxy := Start(t, kind, Options{Backends: []string{frozen.Addr().String()}, Repeats: kind == Traefik})
		got := newCaller(t, proxy.URL(), proxy.CAs()).call(t, []byte(allowedBody))
		if got.Status != http.StatusGatewayTimeout {
			t.Errorf("%d, want 504", got.Status)
		}
	})
}

func TestAProxyKnowsOneHostAndOnePath(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		operator := startReplica(t, "--hook-path", "/signup")
		proxy := Start(t, kind, Options{Host: "hook.example.com", Path: "/signup", Backends: []string{operator.hook}})
		client := newCaller(t, "https://"+proxy.Address()+"/signup", proxy.CAs())
		client.client.Transport.(*http.Transport).TLSClientConfig.ServerName = "hook.example.com"
		for host, want := range map[string]int{"hook.example.com": 200, "elsewhere.example": 404} {
			if got := client.call(t, []byte(allowedBody), func(r *http.Request) { r.Host = host }); got.Status != want {
				t.Errorf("%s: %d, want %d", host, got.Status, want)
			}
		}
		response, err := client.client.Get("https://" + proxy.Address() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusNotFound {
			t.Errorf("/metrics: %d %s", response.StatusCode, text)
		}
		proxy.SetBackends(t)
		want := map[Kind]int{HAProxy: http.StatusServiceUnavailable, Nginx: http.StatusBadGateway, Traefik: http.StatusNotFound}[kind]
		if got := client.call(t, []byte(allowedBody), func(r *http.Request) { r.Host = "hook.example.com" }); got.Status != want {
			t.Errorf("without backends: %d, want %d", got.Status, want)
		}
	})
}
