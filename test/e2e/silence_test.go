package e2e

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"registrationpolicy.dev/operator/test/fixture"
)

// manner changes how an API server answers a request. next is the real one.
type manner func(w http.ResponseWriter, r *http.Request, next http.Handler)

func atOnce(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

// aSecondLate delays the beginning of every answer by a second. An open watch is not delayed.
func aSecondLate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	time.Sleep(time.Second)
	next.ServeHTTP(w, r)
}

// dribbling sends answers a few bytes at a time, so that each of the first lists takes several seconds.
func dribbling(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(dribble{w}, r)
}

type dribble struct{ http.ResponseWriter }

// Write sends a few bytes at a time.
func (d dribble) Write(text []byte) (int, error) {
	const piece, pause = 100, 300 * time.Millisecond
	for sent := 0; sent < len(text); sent += piece {
		time.Sleep(pause)
		if _, err := d.ResponseWriter.Write(text[sent:min(sent+piece, len(text))]); err != nil {
			return sent, err
		}
		if err := http.NewResponseController(d.ResponseWriter).Flush(); err != nil {
			return sent, err
		}
	}
	return len(text), nil
}

// Unwrap returns the underlying writer, which [http.ResponseController] needs to flush.
func (d dribble) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// frozen accepts requests and does not answer them.
func frozen(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

func withoutEtcd(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	http.Error(w, "etcdserver: no leader", http.StatusInternalServerError)
}

func withoutRoom(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "too many requests", http.StatusTooManyRequests)
}

func forbidding(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	http.Error(w, "no", http.StatusForbidden)
}

// mannered is a reverse proxy in front of a cluster's API server, whose manner the test can change.
type mannered struct {
	server *httptest.Server
	manner atomic.Pointer[manner]
}

func (m *mannered) set(manner manner) { m.manner.Store(&manner) }

// startMannered starts a mannered proxy, and returns it with a kubeconfig for it.
func startMannered(t *testing.T, c *cluster) (*mannered, string) {
	t.Helper()
	target, err := url.Parse(c.plane.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(c.plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host})
			r.Out.Header.Del("Authorization")
		},
	}
	m := &mannered{}
	m.set(atOnce)
	m.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*m.manner.Load())(w, r, proxy) }))
	m.server.EnableHTTP2 = true
	m.server.StartTLS()
	t.Cleanup(func() {
		m.server.CloseClientConnections()
		m.server.Close()
	})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{
		Server:                   m.server.URL,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.server.Certificate().Raw}),
	}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "anybody"}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return m, file
}

func TestAStoredSnapshotIsForAnAPIServerThatIsSilentAndNotForASlowOne(t *testing.T) {
	t.Parallel()
	c, dir := startCluster(t), t.TempDir()
	api, kubeconfig := startMannered(t, c)
	flags := []string{
		"--kubeconfig", kubeconfig, "--namespace", namespace, "--hook-auth-dir", credentials(t), "--drain-delay", "0s", "--snapshot-dir", dir,
	}
	c.keepList(t, "bad", "listed.example\n")
	c.apply(t, "acme", `{allow: {domains: [acme.com]}, deny: {lists: [{configMap: {name: bad}}]}}`)
	op := startReady(t, flags...)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	awaitFile(t, dir, time.Time{})
	op.kill(t)

	const inForce = "Stored snapshot is in force: the API server has not answered"
	for _, slow := range []struct {
		name   string
		manner manner
	}{{"a second late", aSecondLate}, {"dribbling", dribbling}} {
		api.set(slow.manner)
		began := time.Now()
		op := start(t, flags...)
		op.awaitAnswerOnceItListens(t)
		t.Logf("%s: rules after %s", slow.name, time.Since(began).Round(time.Millisecond))
		if op.find(inForce, &struct{}{}) {
			t.Errorf("%s: a stored snapshot came into force, although the API server answers", slow.name)
		}
		op.kill(t)
	}
	for _, silent := range []struct {
		name   string
		manner manner
	}{{"frozen", frozen}, {"without etcd", withoutEtcd}, {"too many calls", withoutRoom}, {"forbidding", forbidding}} {
		api.set(silent.manner)
		began := time.Now()
		op := start(t, flags...)
		op.awaitAnswerOnceItListens(t)
		took := time.Since(began)
		t.Logf("%s: rules after %s", silent.name, took.Round(time.Millisecond))
		if least := 2 * time.Second; op.stored(t) == nil || took < least {
			t.Errorf("%s: a stored snapshot in force: %+v, after %s", silent.name, op.stored(t), took)
		}
		api.set(atOnce)
		api.server.CloseClientConnections() // as if a frozen API server was restarted
		fixture.Await(t, silent.name+": rules of the API server", func() bool { return op.stored(t) == nil })
		op.kill(t)
	}
	api.server.CloseClientConnections()
	_ = api.server.Listener.Close() // it refuses connections from now on
	op = start(t, flags...)
	op.awaitAnswerOnceItListens(t)
	if op.stored(t) == nil {
		t.Error("with refused connections, no stored snapshot is in force")
	}
}
