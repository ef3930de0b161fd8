package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"registrationpolicy.dev/operator/bench/load"
	"registrationpolicy.dev/operator/bench/mix"
	"registrationpolicy.dev/operator/bench/process"
	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// server is a measured server, in a process of its own.
type server struct {
	name    string
	process *process.Process
	address string
	calls   []mix.Call
	bytes   []int // of the answer to each call
	program []int // of the program's answer to each call, which the floor repeats
	tls     bool
	failed  bool // it is left out of the further rounds
}

// start starts a server, over TLS if there is a certificate. It returns nil if the machine lacks what the server needs.
type start func(ctx context.Context, c *certificate) (*server, error)

// startServers starts servers, and compares the answer to each call with what the policies say. The first two must be the
// program and the floor; any other is left out if it does not start or answers something else. The function that it
// returns stops them, also after an error.
func (h *house) startServers(ctx context.Context, starts []start, calls []mix.Call, c *certificate) (_ []*server, stop func(), _ error) {
	var servers []*server
	stop = func() {
		for _, s := range servers {
			s.process.Stop()
		}
	}
	for i, start := range starts {
		s, err := start(ctx, c)
		if err == nil && s != nil {
			s.calls, s.tls = calls, c != nil
			if s.name == floor {
				s.bytes = servers[0].bytes
			} else if err = s.check(ctx, c); err != nil {
				s.process.Stop()
			}
		}
		switch {
		case err != nil && i < 2:
			return nil, stop, err
		case err != nil:
			h.leftOut(err)
		case s != nil:
			servers = append(servers, s)
			s.program = servers[0].bytes
		}
	}
	return servers, stop, nil
}

// check makes each call once, and fails if an answer is not the expected one: a comparison would then mean nothing.
func (s *server) check(ctx context.Context, c *certificate) error {
	client, scheme := &http.Client{Timeout: 10 * time.Second}, "http://"
	if c != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(c.authority)
		client.Transport, scheme = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, "https://"
	}
	defer client.CloseIdleConnections()
	for _, call := range s.calls {
		url := scheme + s.address + hookserver.DefaultPath
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(call.Body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", mix.Credential)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return err
		}
		result := oktasim.Read(call.Shape, oktasim.Answer{
			Status: response.StatusCode, ContentType: response.Header.Get("Content-Type"), Body: answer,
		})
		want := oktasim.Denied
		if call.Allowed {
			want = oktasim.Registered
		}
		if result.Outcome != want || len(result.Faults) > 0 {
			return fmt.Errorf("%s: a call is %s, want %s; faults: %q", s.name, result.Outcome, want, result.Faults)
		}
		s.bytes = append(s.bytes, len(answer))
	}
	return nil
}

// job returns the load of the calls that are wanted, or of all if wanted is nil.
func (s *server) job(wanted func(mix.Call) bool, authority []byte) load.Job {
	job := load.Job{Address: s.address}
	if s.tls {
		job.Authority = authority
	}
	for i, call := range s.calls {
		if wanted == nil || wanted(call) {
			job.Calls = append(job.Calls, load.Call{
				Request: call.Request(s.address, mix.Credential, s.program[i]), Status: http.StatusOK, Bytes: s.bytes[i],
			})
		}
	}
	return job
}

// badJob returns the load of all calls, of which one in so many has a wrong credential.
func (s *server) badJob(oneIn int) load.Job {
	const wrong = "Basic YmVuY2g6bm90LWFub3RoZXI=" // bench:not-another
	job := s.job(nil, nil)
	for i := 0; i < len(job.Calls); i += oneIn {
		job.Calls[i] = load.Call{
			Request: s.calls[i].Request(s.address, wrong, s.program[i]), Status: http.StatusUnauthorized, Bytes: load.AnyLength,
		}
	}
	return job
}

// turn runs a job, and measures the server during it.
func (s *server) turn(ctx context.Context, job load.Job, loadProgram string) (t turn, err error) {
	before, err := s.process.CPU()
	if err != nil {
		return turn{}, err
	}
	if t.Result, err = job.Run(ctx, loadProgram); err != nil {
		return turn{}, err
	}
	after, err := s.process.CPU()
	if err != nil {
		return turn{}, err
	}
	t.cpu = (after - before) / time.Duration(t.Calls)
	t.resident, err = s.process.Resident()
	return t, err
}

// operatorFlags are for any operator that is measured: free ports, and one credential.
func (h *house) operatorFlags(c *certificate) ([]string, error) {
	credentials := filepath.Join(h.dir, "credentials")
	if err := errors.Join(os.MkdirAll(credentials, 0o700),
		os.WriteFile(filepath.Join(credentials, "okta"), []byte(mix.Credential), 0o600)); err != nil {
		return nil, err
	}
	flags := []string{
		"--hook-auth-dir", credentials, "--drain-delay", "0s",
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
	}
	if c != nil {
		flags = append(flags, "--hook-tls-dir", c.dir)
	}
	return flags, nil
}

// fileFlags are for an operator in file mode, with the policies of the mix.
func (h *house) fileFlags(c *certificate) ([]string, error) {
	policies := filepath.Join(h.dir, "policies")
	if err := errors.Join(os.MkdirAll(policies, 0o700), mix.WritePolicies(policies)); err != nil {
		return nil, err
	}
	flags, err := h.operatorFlags(c)
	return append(flags, "--policy-dir", policies), err
}

// startProgram returns a start of a build of the operator in file mode.
func (h *house) startProgram(path, name string) start {
	return func(ctx context.Context, c *certificate) (*server, error) {
		flags, err := h.fileFlags(c)
		if err != nil {
			return nil, err
		}
		return serving(name)(process.StartOperator(ctx, path, flags...))
	}
}

// serving returns a function that makes a server of a started process, whose log it reads in the background.
func serving(name string) func(*process.Process, string, error) (*server, error) {
	return func(p *process.Process, address string, err error) (*server, error) {
		if err != nil {
			return nil, err
		}
		go p.ReadLog(0) // ends with the process
		return &server{name: name, process: p, address: address}, nil
	}
}

func (h *house) startFloor(ctx context.Context, c *certificate) (*server, error) {
	return h.startOurs(ctx, c, floor, "./programs/floor")
}

func (h *house) startOPA(ctx context.Context, c *certificate) (*server, error) {
	return h.startOurs(ctx, c, opa, "./programs/opa")
}

func (h *house) startOurs(ctx context.Context, c *certificate, name, pkg string) (*server, error) {
	path, err := process.Build(ctx, ".", pkg, h.dir)
	if err != nil {
		return nil, err
	}
	var flags []string
	if c != nil {
		flags = []string{"-cert", c.certFile(), "-key", c.keyFile()}
	}
	return serving(name)(process.StartServer(ctx, path, flags...))
}

// startExpress starts the Express server, or returns nil without Node.js.
func (h *house) startExpress(ctx context.Context, c *certificate) (*server, error) {
	node, err := exec.LookPath("node")
	npm, npmErr := exec.LookPath("npm")
	if errors.Join(err, npmErr) != nil {
		say("http: Express is LEFT OUT: there is no node or no npm on the PATH")
		return nil, nil
	}
	dir := filepath.Join(h.dir, "express")
	if _, err := os.Stat(dir); err != nil { // else installed before
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("programs", "express"))); err != nil {
			return nil, err
		}
		install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
		install.Dir, install.Stdout, install.Stderr = dir, os.Stderr, os.Stderr
		if err := install.Run(); err != nil {
			return nil, fmt.Errorf("npm ci of programs/express: %w", err)
		}
		rules, err := json.Marshal(map[string]any{
			"allowed": mix.Allowed(), "denied": mix.Denied(), "message": mix.Message, "users": map[string]string{"bench": "not-a-secret"},
		})
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "rules.json"), rules, 0o600); err != nil {
			return nil, err
		}
	}
	environment := []string{"NODE_ENV=production", "RULES=" + filepath.Join(dir, "rules.json")}
	if c != nil {
		environment = append(environment, "CERT="+c.certFile(), "KEY="+c.keyFile())
	}
	return serving(express)(process.StartServer(ctx, "env", append(environment, node, filepath.Join(dir, "server.js"))...))
}

// certificate is for the loopback interface, and its own authority.
type certificate struct {
	dir       string // with tls.crt and tls.key
	authority []byte // PEM
}

func (c *certificate) certFile() string { return filepath.Join(c.dir, "tls.crt") }
func (c *certificate) keyFile() string  { return filepath.Join(c.dir, "tls.key") }

// use returns the certificate, or nil without TLS.
func (c *certificate) use(tls bool) *certificate {
	if tls {
		return c
	}
	return nil
}

func newCertificate(dir string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	const validity = 24 * time.Hour
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &certificate{
		dir:       filepath.Join(dir, "tls"),
		authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
	}
	return c, errors.Join(os.MkdirAll(c.dir, 0o700), os.WriteFile(c.certFile(), c.authority, 0o600),
		os.WriteFile(c.keyFile(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}
