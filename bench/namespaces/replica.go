package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/tcpproxy"
)

const (
	credential = "Basic YmVuY2g6bm90LWEtc2VjcmV0" // bench:not-a-secret
	leaseName  = "registration-policy-operator"   // the default of --lease-name
)

func replicaName(i int) string { return fmt.Sprintf("replica-%d", i+1) }

// fleet is a set of replicas of the operator that watch the same namespaces. Each has its own proxies to the API
// server.
type fleet struct {
	cluster    *cluster
	counts     *counts
	namespaces int
	replicas   []*replica
	stopSlices context.CancelFunc
}

// replica is a replica of the operator.
type replica struct {
	name      string
	program   string
	arguments []string
	log       string
	proxy     *proxy          // counts requests
	line      *tcpproxy.Proxy // adds latency

	process               *exec.Cmd
	hook, probes, metrics string // host:port
	ready                 atomic.Bool
}

// fleetOptions are the options of a fleet.
type fleetOptions struct {
	program, dir string
	namespaces   int
	latency      time.Duration // in each direction
	fenceAfter   time.Duration // 0: no fence
	anyway       bool          // measure a fleet that does not become ready
}

// startFleet starts a replica for each user of the cluster. It returns when all of them listen.
func startFleet(ctx context.Context, c *cluster, o fleetOptions) (_ *fleet, err error) {
	if err := c.create(ctx, o.namespaces); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.dir, "fleet-")
	if err != nil {
		return nil, err
	}
	f := &fleet{cluster: c, counts: newCounts(), namespaces: o.namespaces}
	slices, stop := context.WithCancel(ctx)
	f.stopSlices = stop
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	credentials := filepath.Join(dir, "credentials")
	if err := errors.Join(os.Mkdir(credentials, 0o700),
		os.WriteFile(filepath.Join(credentials, "okta"), []byte(credential+"\n"), 0o600)); err != nil {
		return nil, err
	}
	flags := []string{
		"--namespace", own, "--watch-namespaces", strings.Join(namespaces(o.namespaces), ","), "--service-name", endpointsOf,
		"--hook-auth-dir", credentials, "--drain-delay", "0s", "--fence-after", o.fenceAfter.String(),
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
	}
	for i := 1; i < o.namespaces; i++ {
		flags = append(flags, "--namespace-sources", namespaceName(i)+"="+source(i))
	}
	for i, user := range c.users {
		r := &replica{name: replicaName(i), program: o.program, log: filepath.Join(dir, replicaName(i)+".log")}
		f.replicas = append(f.replicas, r)
		if r.proxy, err = startProxy(r.name, user, f.counts); err != nil {
			return nil, err
		}
		if r.line, err = tcpproxy.New(context.WithoutCancel(ctx), r.proxy.address()); err != nil {
			return nil, err
		}
		r.line.Slow(o.latency)
		kubeconfig := filepath.Join(dir, r.name+".kubeconfig")
		if err := r.writeKubeconfig(kubeconfig); err != nil {
			return nil, err
		}
		r.arguments = append([]string{"--kubeconfig", kubeconfig, "--replica-name", r.name}, flags...)
		if err := r.start(ctx); err != nil {
			return nil, err
		}
	}
	if err := f.writeSlice(ctx); err != nil {
		return nil, err
	}
	go f.keepSlice(slices)
	return f, nil
}

// awaitReady waits until all replicas are ready and all policies are Ready.
func (f *fleet) awaitReady(ctx context.Context) error {
	for _, r := range f.replicas {
		if err := r.awaitReady(ctx); err != nil {
			return err
		}
	}
	return f.cluster.awaitAllReady(ctx, f.namespaces)
}

// stop ends the replicas by SIGTERM, and closes the proxies.
func (f *fleet) stop() {
	for _, r := range f.replicas {
		r.stop(syscall.SIGTERM)
	}
	f.stopSlices()
	for _, r := range f.replicas {
		if r.line != nil {
			r.line.Close()
		}
		if r.proxy != nil {
			r.proxy.close()
		}
	}
}

// keepSlice keeps the EndpointSlice of the Service up to date with the readiness of the replicas, as Kubernetes does.
func (f *fleet) keepSlice(ctx context.Context) {
	tick := time.NewTicker(sliceInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed := false
		for _, r := range f.replicas {
			ready := r.isReady(ctx)
			changed = r.ready.Swap(ready) != ready || changed
		}
		if changed {
			_ = f.writeSlice(ctx) // retried at the next change
		}
	}
}

func (f *fleet) writeSlice(ctx context.Context) error {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: own, Name: endpointsOf + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: endpointsOf},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("hook"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
	for i, r := range f.replicas {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.0.0.%d", i+1)}, // the API server refuses addresses of the loopback network
			Conditions: discoveryv1.EndpointConditions{Ready: new(r.ready.Load()), Serving: new(r.ready.Load())},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: own, Name: r.name},
		})
	}
	stored := &discoveryv1.EndpointSlice{}
	err := f.cluster.admin.Get(ctx, client.ObjectKeyFromObject(slice), stored)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err != nil {
		return f.cluster.admin.Create(ctx, slice)
	}
	stored.Endpoints = slice.Endpoints
	return f.cluster.admin.Update(ctx, stored)
}

func (r *replica) writeKubeconfig(file string) error {
	return os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "https://%s", certificate-authority-data: %s}}]
users: [{name: %s, user: {}}]
contexts: [{name: bench, context: {cluster: bench, user: %s}}]
current-context: bench
`, r.line.Addr(), base64.StdEncoding.EncodeToString(r.proxy.authority()), r.name, r.name), 0o600)
}

// start starts the replica. It returns when the replica listens.
func (r *replica) start(ctx context.Context) error {
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r.process = exec.CommandContext(ctx, r.program, r.arguments...)
	r.process.Env = []string{"HOME=" + filepath.Dir(r.log)}
	r.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := r.process.StderrPipe()
	if err != nil {
		return errors.Join(err, log.Close())
	}
	if err := r.process.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	said := bufio.NewReader(io.TeeReader(output, log))
	for {
		text, err := said.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("%s ended before it listened, see %s: %w", r.name, r.log, errors.Join(r.process.Wait(), log.Close()))
		}
		var line struct{ Msg, Hook, Probes, Metrics string }
		if json.Unmarshal(text, &line) == nil && line.Msg == "Starting" {
			r.hook, r.probes, r.metrics = line.Hook, line.Probes, line.Metrics
			break
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, said)
		_ = log.Close()
	}()
	return nil
}

// stop ends the replica by a signal.
func (r *replica) stop(signal syscall.Signal) {
	if r.process == nil || r.process.Process == nil {
		return
	}
	_ = r.process.Process.Signal(signal)
	kill := time.AfterFunc(endTime, func() { _ = r.process.Process.Kill() })
	defer kill.Stop()
	_ = r.process.Wait()
}

var httpClient = http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns the status and the body of a URL. The status is 0 without an answer.
func get(ctx context.Context, url string) (int, []byte) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil
	}
	return do(request)
}

func do(request *http.Request) (int, []byte) {
	response, err := httpClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, text
}

// isReady reports whether the readiness probe succeeds.
func (r *replica) isReady(ctx context.Context) bool {
	status, _ := get(ctx, "http://"+r.probes+"/readyz")
	return status == http.StatusOK
}

func (r *replica) awaitReady(ctx context.Context) error {
	err := until(ctx, pollInterval, r.name+" ready", func(ctx context.Context) (bool, error) { return r.isReady(ctx), nil })
	if err != nil {
		err = fmt.Errorf("%w: %s", err, r.details(ctx))
	}
	return err
}

// details returns the body of the replica's /readyz on the metrics port.
func (r *replica) details(ctx context.Context) []byte {
	_, body := get(ctx, "http://"+r.metrics+"/readyz")
	return body
}

// fault returns the state and the fault of a namespace from the replica's details, or "" if it has none.
func (r *replica) fault(ctx context.Context, namespace string) string {
	var details struct {
		Namespaces []struct{ Name, State, Fault string }
	}
	if json.Unmarshal(r.details(ctx), &details) != nil {
		return ""
	}
	for _, one := range details.Namespaces {
		if one.Name == namespace && one.Fault != "" {
			return one.State + ": " + one.Fault
		}
	}
	return ""
}

// answer is the answer to a registration.
type answer struct {
	status         int
	action, reason string
}

// register makes a registration with an address from a source.
func (r *replica) register(ctx context.Context, source, address string) answer {
	body := fmt.Sprintf(`{"eventType":"com.okta.user.pre-registration","source":%q,"requestType":"self.service.registration",`+
		`"data":{"userProfile":{"login":%[2]q,"email":%[2]q}}}`, source, address)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.hook+"/okta/registration", strings.NewReader(body))
	if err != nil {
		return answer{}
	}
	request.Header.Set("Authorization", credential)
	request.Header.Set("Content-Type", "application/json")
	status, text := do(request)
	var said struct {
		Commands []struct {
			Type  string
			Value json.RawMessage
		}
		DebugContext struct{ Reason string }
	}
	a := answer{status: status}
	if json.Unmarshal(text, &said) != nil {
		return a
	}
	for _, command := range said.Commands {
		if command.Type == "com.okta.action.update" {
			var value struct{ Registration string }
			_ = json.Unmarshal(command.Value, &value)
			a.action = value.Registration
		}
	}
	a.reason = said.DebugContext.Reason
	return a
}

// memory returns the current and the peak resident bytes of the replica.
func (r *replica) memory() (now, peak int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.Process.Pid))
	return kibibytes(text, "VmRSS:") << 10, kibibytes(text, "VmHWM:") << 10
}

func kibibytes(status []byte, field string) int64 {
	_, after, _ := bytes.Cut(status, []byte(field))
	number, _, _ := bytes.Cut(bytes.TrimSpace(after), []byte(" "))
	n, _ := strconv.ParseInt(string(number), 10, 64)
	return n
}

// leaseBytes returns the size of the largest Lease of a replica, as JSON.
func (f *fleet) leaseBytes(ctx context.Context) (int, error) {
	var leases coordinationv1.LeaseList
	if err := f.cluster.admin.List(ctx, &leases, client.InNamespace(own)); err != nil {
		return 0, err
	}
	largest := 0
	for i := range leases.Items {
		if !strings.HasPrefix(leases.Items[i].Name, leaseName+".") {
			continue
		}
		text, err := json.Marshal(&leases.Items[i])
		if err != nil {
			return 0, err
		}
		largest = max(largest, len(text))
	}
	return largest, nil
}
