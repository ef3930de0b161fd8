package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// adminToken and operatorToken are the credentials of the two users of the API server, which only exists for this
	// run.
	adminToken    = "admin-of-this-run-only"
	operatorToken = "operator-of-this-run-only"
	// OperatorUser is the user name of the operators.
	OperatorUser = "operator"
	// startWithin limits the start of the API server, which is slow on a busy machine.
	startWithin = 2 * time.Minute
	// endWithin is the time from SIGTERM to SIGKILL.
	endWithin = 10 * time.Second
)

// Plane is a control plane of etcd and kube-apiserver, two programs that faults may stop and kill.
type Plane struct {
	// Etcd and APIServer are the programs. Their data survives a restart.
	Etcd, APIServer *Program
	// Config has the rights of an administrator.
	Config *rest.Config

	address string
	probe   http.Client
}

// StartPlane starts a control plane from the programs in assets, with its files in dir. It returns when the API server
// is ready.
func StartPlane(ctx context.Context, assets, dir string) (*Plane, error) {
	certificates := filepath.Join(dir, "certificates")
	if err := os.MkdirAll(certificates, 0o700); err != nil {
		return nil, err
	}
	key := filepath.Join(dir, "service-accounts.pem")
	tokens := filepath.Join(dir, "tokens.csv")
	if err := errors.Join(writeKey(key), os.WriteFile(tokens, fmt.Appendf(nil, "%s,admin,1,system:masters\n%s,%s,2\n",
		adminToken, operatorToken, OperatorUser), 0o600)); err != nil {
		return nil, err
	}
	free := freeAddresses(3) // not :0 for one of them, which could get the address of another
	etcd, peers, server := free[0], free[1], free[2]
	_, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	p := &Plane{
		address: server,
		Etcd: &Program{
			Path: filepath.Join(assets, "etcd"), Log: filepath.Join(dir, "etcd.log"),
			Arguments: []string{
				"--data-dir=" + filepath.Join(dir, "etcd"), "--listen-client-urls=http://" + etcd, "--advertise-client-urls=http://" + etcd,
				"--listen-peer-urls=http://" + peers,
				"--unsafe-no-fsync", // faster; data is only lost if the machine crashes, not the program
			},
		},
		APIServer: &Program{
			Path: filepath.Join(assets, "kube-apiserver"), Log: filepath.Join(dir, "kube-apiserver.log"),
			Arguments: []string{
				"--etcd-servers=http://" + etcd, "--bind-address=127.0.0.1", "--secure-port=" + port, "--cert-dir=" + certificates,
				"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
				"--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--token-auth-file=" + tokens,
				"--service-account-issuer=https://" + server,
				"--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
			},
		},
		// This client does not verify the API server's certificate, which does not exist before the start. All other
		// clients verify it.
		probe: http.Client{Timeout: time.Second, Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		}},
	}
	for _, program := range []*Program{p.Etcd, p.APIServer} {
		if _, err := program.Start(); err != nil {
			return nil, err
		}
	}
	for begin := time.Now(); !p.Serves(ctx); time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > startWithin || ctx.Err() != nil {
			p.Stop()
			return nil, fmt.Errorf("the API server does not serve: see %s", p.APIServer.Log)
		}
	}
	authority, err := os.ReadFile(filepath.Join(certificates, "apiserver.crt"))
	if err != nil {
		return nil, err
	}
	p.Config = &rest.Config{
		Host: "https://" + server, BearerToken: adminToken, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: authority},
	}
	return p, nil
}

// Serves reports whether the API server is ready.
func (p *Plane) Serves(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.address+"/readyz", nil)
	if err != nil {
		return false
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := p.probe.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Address returns the host:port of the API server.
func (p *Plane) Address() string { return p.address }

// Stop ends both programs, even if a fault has stopped them.
func (p *Plane) Stop() {
	for _, program := range []*Program{p.APIServer, p.Etcd} {
		_ = program.Signal(syscall.SIGCONT)
		program.Stop(endWithin)
	}
}

// writeKubeconfig writes a kubeconfig of the operator for the API server at address.
func (p *Plane) writeKubeconfig(file, address string) error {
	return os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: run, cluster: {server: "https://%s", certificate-authority-data: %s}}]
users: [{name: operator, user: {token: %s}}]
contexts: [{name: run, context: {cluster: run, user: operator}}]
current-context: run
`, address, base64Of(p.Config.CAData), operatorToken), 0o600)
}

func writeKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600)
}

// FreeAddress returns a host:port that was free at the time of the call.
func FreeAddress() string { return freeAddresses(1)[0] }

// freeAddresses returns different host:port values that were free at the time of the call.
func freeAddresses(count int) []string {
	addresses := make([]string, count)
	for i := range addresses {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			addresses[i] = "127.0.0.1:0" // the caller's Listen reports the error
			continue
		}
		defer func() { _ = listener.Close() }() // after the last one is chosen, so that they differ
		addresses[i] = listener.Addr().String()
	}
	return addresses
}
