package proxies

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"embed"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"text/template"
	"time"

	"registrationpolicy.dev/operator/test/fixture"
)

const (
	// patience is how long a proxy may take to start, to apply a change or to end. It usually takes milliseconds.
	patience = 20 * time.Second
	// pause is the interval at which a proxy is polled.
	pause = 5 * time.Millisecond
	// startAttempts is the maximum number of attempts to start a proxy. An attempt fails if another program has taken
	// the port that was just free.
	startAttempts = 3
)

// Kind is the name of a reverse proxy's program.
type Kind string

const (
	// Nginx and HAProxy are the programs on which most Ingress controllers are built. Traefik is one itself, and serves
	// the Gateway API too.
	Nginx   Kind = "nginx"
	HAProxy Kind = "haproxy"
	Traefik Kind = "traefik"
)

// Kinds has every Kind.
var Kinds = []Kind{Nginx, HAProxy, Traefik}

//go:embed nginx.conf haproxy.cfg routes.yaml
var configurations embed.FS

// Options are the options of a proxy.
type Options struct {
	// Host is the host name that the proxy serves. Other hosts get 404. Unset means localhost.
	Host string
	// Path is the path whose requests the proxy passes to the operator. Other paths get 404. Unset means
	// /okta/registration.
	Path string
	// Certificate is the certificate for every host. Unset means a new certificate for Host, from a new CA.
	Certificate *Certificate
	// Backends are the host:port of the operator's replicas.
	Backends []string
	// OneCallAConnection makes nginx close a caller's connection after each answer. Otherwise a reload after a change
	// of endpoints may end a connection on which the caller has just sent a call. The others ignore this option, because
	// they do not reload.
	OneCallAConnection bool
	// Repeats makes the proxy send a call to another replica also if the first one closed the connection without an
	// answer. Unset, the proxy does so only if it could not connect. Traefik repeats a call only if it could not connect,
	// and unset, never.
	Repeats bool
}

// Proxy is a running reverse proxy, which terminates TLS in front of replicas of the operator.
type Proxy struct {
	kind    Kind
	options Options
	address string
	// dir is the directory for the configuration and for Unix sockets. Its path is short, because those of sockets must
	// be.
	dir         string
	generation  int               // nginx, Traefik: the number of the configuration
	generations string            // Traefik: the host:port that answers with the number of the configuration in force
	slots       map[string]string // haproxy: the addresses of replicas, by the name of the server

	process *exec.Cmd
	exited  chan struct{}
	log     fixture.Transcript
}

// Start starts a proxy on a free port of 127.0.0.1, waits until it serves, and stops it at the end of the test. If the
// program is missing, the test fails and says what to install.
func Start(t testing.TB, kind Kind, options Options) *Proxy {
	t.Helper()
	options.Host = cmp.Or(options.Host, "localhost")
	options.Path = cmp.Or(options.Path, "/okta/registration")
	if options.Certificate == nil {
		options.Certificate = NewCertificate(t, options.Host)
	}
	dir, err := os.MkdirTemp("", "proxy") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &Proxy{kind: kind, options: options, dir: dir, slots: map[string]string{}}
	p.write(t, "tls.pem", append(bytes.Clone(options.Certificate.Chain), options.Certificate.Key...))
	for attempt := 1; !p.start(t); attempt++ {
		if attempt == startAttempts {
			t.Fatalf("%s does not start:\n%s", kind, p.log.String())
		}
	}
	t.Cleanup(func() { p.stop(t) })
	p.SetBackends(t, options.Backends...)
	return p
}

// URL returns the hook's URL behind the proxy, with Options.Host as its host. A caller must connect to [Proxy.Address]
// for that host. localhost resolves to it.
func (p *Proxy) URL() string {
	_, port, _ := net.SplitHostPort(p.address)
	return "https://" + net.JoinHostPort(p.options.Host, port) + p.options.Path
}

// Address returns the host:port on which the proxy listens.
func (p *Proxy) Address() string { return p.address }

// CAs returns a pool with the CA of the proxy's certificate.
func (p *Proxy) CAs() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.options.Certificate.Authority)
	return pool
}

// SetBackends makes backends, in the form host:port, the only replicas that get new calls. It does what an Ingress
// controller does when endpoints change: it makes nginx reload its configuration, changes haproxy's servers over its
// socket, and replaces the file that Traefik watches. Pending calls go on.
func (p *Proxy) SetBackends(t testing.TB, backends ...string) {
	t.Helper()
	switch p.kind {
	case Nginx:
		p.reload(t, backends)
	case HAProxy:
		p.fillSlots(t, backends)
	case Traefik:
		p.replaceFile(t, backends)
	}
}

// Log returns the log of the proxy, for the message of a failed test.
func (p *Proxy) Log() string {
	calls, _ := os.ReadFile(filepath.Join(p.dir, "access.log")) // only nginx writes this file
	return p.log.String() + string(calls)
}

// start starts the program, and reports whether it serves.
func (p *Proxy) start(t testing.TB) bool {
	t.Helper()
	path, err := Program(p.kind)
	if err != nil {
		t.Fatal(err)
	}
	p.address = fixture.FreeAddress(t)
	var arguments []string
	var serves func() bool
	switch p.kind {
	case Nginx:
		p.configure(t, "nginx.conf", nil)
		arguments = []string{"-p", p.dir, "-c", filepath.Join(p.dir, "nginx.conf"), "-e", "stderr"}
		serves = func() bool { return p.inForce(t) == p.generation }
	case HAProxy:
		p.configure(t, "haproxy.cfg", nil)
		arguments = []string{"-db", "-f", filepath.Join(p.dir, "haproxy.cfg")}
		serves = func() bool { _, err := p.command(t, "show version"); return err == nil }
	case Traefik:
		p.configure(t, traefikFile, nil)
		arguments = p.traefikArguments(t)
		serves = func() bool { return p.traefikInForce(t) == p.generation }
	default:
		t.Fatalf("no proxy %q", p.kind)
	}
	p.process = exec.Command(path, arguments...) //nolint:noctx // stop ends it, after the end of the test's context
	p.process.Stdout, p.process.Stderr = &p.log, &p.log
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, exited := p.process, make(chan struct{})
	p.exited = exited
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	return p.await(serves)
}

// await waits until done reports true, and reports false if the proxy ended or took too long.
func (p *Proxy) await(done func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-p.exited:
			return false
		case <-time.After(pause):
			if done() {
				return true
			}
		}
	}
	return false
}

func (p *Proxy) stop(t testing.TB) {
	_ = p.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.process.Process.Kill()
		<-p.exited
		t.Errorf("%s did not end", p.kind)
	}
	if t.Failed() {
		t.Logf("%s:\n%s", p.kind, tail(p.Log()))
	}
}

// logEnd is the number of bytes at the end of a proxy's log that a failed test prints.
const logEnd = 2 << 10

func tail(text string) string { return text[max(0, len(text)-logEnd):] }

// configure writes a configuration file.
func (p *Proxy) configure(t testing.TB, name string, backends []string) {
	t.Helper()
	p.write(t, name, p.rendered(t, name, backends))
}

// rendered returns the text of a configuration file, from the embedded template of the same name.
func (p *Proxy) rendered(t testing.TB, name string, backends []string) []byte {
	t.Helper()
	var text bytes.Buffer
	err := template.Must(template.ParseFS(configurations, name)).Execute(&text, map[string]any{
		"Dir": p.dir, "Address": p.address, "Host": p.options.Host, "Path": p.options.Path, "Root": os.Geteuid() == 0,
		"Backends": backends, "Generation": p.generation, "Slots": slotNames(),
		"OneCallAConnection": p.options.OneCallAConnection, "Repeats": p.options.Repeats,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func (p *Proxy) write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}
