package fleet

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/tcpproxy"
)

// The chart's probes, and the times of a kubelet.
const (
	readinessPeriod, readinessTimeout, readinessFailures = 5 * time.Second, 2 * time.Second, 2
	livenessPeriod, livenessTimeout, livenessFailures    = 10 * time.Second, 5 * time.Second, 3
	// firstProbe is the delay of the first probe after the start of a container.
	firstProbe = time.Second
	// restartDelay is the time from the end of a container to its next start.
	restartDelay = time.Second
	// inPlaceDelay is the same after RestartInPlace. It is so short that the endpoints do not change in that time.
	inPlaceDelay = 500 * time.Millisecond
	// statusRetry is the time between two attempts of a request to the API server.
	statusRetry = 500 * time.Millisecond
	// apiTimeout is the timeout of one request to the API server.
	apiTimeout = 5 * time.Second
)

// Ports are the ports of every replica, for Hook, Probes and Metrics. Each replica has its own address.
type Ports struct{ Hook, Probes, Metrics int }

// Settings are the common settings of all pods of a fleet.
type Settings struct {
	// Client is the kubelet's client, Timeline gets its log, and Plane is the control plane of the replicas.
	Client   client.Client
	Timeline *Timeline
	Plane    *Plane
	Ports    Ports
	// Namespace is the namespace of the pods, and Labels are their labels, by which the Service selects them.
	Namespace string
	Labels    map[string]string
	// Dir is the directory for the pods' files.
	Dir string
	// Flags are the operator flags that all pods have.
	Flags []string
	// DrainDelay is the operator's --drain-delay, and Grace the pod's termination grace period.
	DrainDelay, Grace time.Duration
	// SnapshotBytes is the size of the volume for a pod's snapshot.
	SnapshotBytes int
}

// Pod is a replica: its object in the API server, its container, its volume, and its connection to the API server.
type Pod struct {
	// Name, UID and Address identify the pod. Addresses are not reused in a run.
	Name, UID, Address string
	// Binary is the operator's program in the pod's image.
	Binary string
	// Line is the proxy between the pod and the API server.
	Line *tcpproxy.Proxy
	// Volume has the pod's stored snapshot. It exists as long as the pod.
	Volume *Volume

	settings  *Settings
	container *Program
	probe     http.Client
	deleted   chan struct{} // closed when the pod is deleted
	gone      chan struct{} // closed when the container of the deleted pod has ended

	suspended atomic.Bool // the kubelet does not run: probes have no effect
	inPlace   atomic.Bool // the next restart comes so soon that readiness does not change

	mu     sync.Mutex
	ready  bool
	starts []history.Moment
	dirty  chan struct{} // has an element if the status must be written
	// If held is not nil, an ended container is not started again until held is closed.
	held chan struct{}
}

// CreatePod creates a pod and starts it. The flags are added to those of the settings.
func CreatePod(ctx context.Context, s *Settings, name, address, binary string, flags ...string) (*Pod, error) {
	dir := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name, Labels: s.Labels},
		Spec: corev1.PodSpec{
			NodeName: "node", TerminationGracePeriodSeconds: new(int64(s.Grace.Seconds())),
			Containers: []corev1.Container{{Name: "operator", Image: filepath.Base(binary)}},
		},
	}
	if err := Retry(ctx, func(ctx context.Context) error {
		err := s.Client.Create(ctx, object)
		if apierrors.IsAlreadyExists(err) { // an earlier attempt succeeded and its response was lost
			return s.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("create the pod %s: %w", name, err)
	}
	line, err := tcpproxy.New(context.WithoutCancel(ctx), s.Plane.Address())
	if err != nil {
		return nil, err
	}
	volume, err := newVolume(filepath.Join(dir, "snapshot"), s.SnapshotBytes)
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := s.Plane.writeKubeconfig(kubeconfig, line.Addr()); err != nil {
		return nil, err
	}
	p := &Pod{
		Name: name, UID: string(object.UID), Address: address, Binary: binary, Line: line, Volume: volume, settings: s,
		deleted: make(chan struct{}), gone: make(chan struct{}), dirty: make(chan struct{}, 1),
		probe: http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	p.container = &Program{Path: binary, Log: filepath.Join(dir, "operator.log"), Arguments: append([]string{
		"--kubeconfig", kubeconfig, "--namespace", s.Namespace,
		"--hook-bind-address", fmt.Sprintf("%s:%d", address, s.Ports.Hook),
		"--probe-bind-address", fmt.Sprintf("%s:%d", address, s.Ports.Probes),
		"--metrics-bind-address", fmt.Sprintf("%s:%d", address, s.Ports.Metrics),
		"--replica-name", name, "--replica-uid", p.UID, "--snapshot-dir", volume.Dir,
		"--drain-delay", s.DrainDelay.String(),
	}, slices.Concat(s.Flags, flags)...)}
	// The pod does not end with ctx.
	background := context.WithoutCancel(ctx)
	go p.run()
	go p.reportStatus(background)
	return p, nil
}

// run runs the container until the pod is deleted.
func (p *Pod) run() {
	defer close(p.gone)
	for {
		exited, err := p.start()
		if err != nil {
			p.settings.Timeline.Note("%s does not start: %v", p.Name, err)
			return
		}
		failing := p.runProbe("/healthz", livenessPeriod, livenessTimeout, livenessFailures, exited, nil)
		p.runProbe("/readyz", readinessPeriod, readinessTimeout, readinessFailures, exited, p.setReady)
		select {
		case <-exited:
			p.settings.Timeline.Note("%s: its container has ended", p.Name)
		case <-failing:
			p.settings.Timeline.Note("%s: its liveness probe failed, and its container is killed", p.Name)
			p.container.Stop(p.settings.Grace)
		case <-p.deleted:
			p.container.Stop(p.settings.Grace)
			p.setReady(false)
			return
		}
		if p.inPlace.CompareAndSwap(true, false) {
			time.Sleep(inPlaceDelay)
			continue
		}
		p.setReady(false)
		if !p.awaitRestart() {
			return
		}
	}
}

func (p *Pod) start() (<-chan struct{}, error) {
	p.mu.Lock()
	p.starts = append(p.starts, p.settings.Timeline.Now())
	p.mu.Unlock()
	return p.container.Start()
}

// awaitRestart waits until the container may be started again. It returns false if the pod is deleted.
func (p *Pod) awaitRestart() bool {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-p.deleted:
			return false
		}
	}
	select {
	case <-time.After(restartDelay):
		return true
	case <-p.deleted:
		return false
	}
}

// Hold delays the restart of an ended container until release is called.
func (p *Pod) Hold() (release func()) {
	held := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(held)
		p.held = nil
	}
}

// runProbe probes the container until it has exited. If onResult is nil, it closes the channel after the given number
// of consecutive failures. Otherwise it calls onResult with true after a success, and with false after that many
// failures.
func (p *Pod) runProbe(
	path string, period, timeout time.Duration, failures int, exited <-chan struct{}, onResult func(bool),
) <-chan struct{} {
	failing := make(chan struct{})
	go func() {
		wait, failed := firstProbe, 0
		for {
			select {
			case <-exited:
				return
			case <-time.After(wait):
			}
			wait = period
			if p.suspended.Load() {
				continue
			}
			if succeeded := p.probeOnce(path, timeout); p.suspended.Load() {
				continue // the kubelet was suspended during the probe: ignore the result
			} else if succeeded {
				failed = 0
				if onResult != nil && p.container.Running() {
					onResult(true)
				}
				continue
			}
			if failed++; failed < failures {
				continue
			}
			if onResult == nil {
				close(failing)
				return
			}
			onResult(false)
		}
	}()
	return failing
}

func (p *Pod) probeOnce(path string, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	url := fmt.Sprintf("http://%s:%d%s", p.Address, p.settings.Ports.Probes, path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := p.probe.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (p *Pod) setReady(ready bool) {
	p.mu.Lock()
	changed := p.ready != ready
	p.ready = ready
	p.mu.Unlock()
	if changed {
		p.settings.Timeline.Note("%s is ready by its probe: %t", p.Name, ready)
	}
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// Ready reports the result of the readiness probe.
func (p *Pod) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// Starts returns the times of all starts of the container.
func (p *Pod) Starts() []history.Moment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]history.Moment{}, p.starts...)
}

// reportStatus writes the pod's status whenever it changes, until the pod is gone.
func (p *Pod) reportStatus(ctx context.Context) {
	p.setReady(false)
	var written []byte
	for {
		select {
		case <-p.dirty:
		case <-p.gone:
			return
		}
		for {
			status := p.status()
			patch, err := json.Marshal(map[string]any{"status": status})
			if err != nil || string(patch) == string(written) {
				break
			}
			object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.settings.Namespace, Name: p.Name}}
			once, cancel := context.WithTimeout(ctx, apiTimeout)
			err = p.settings.Client.Status().Patch(once, object, client.RawPatch("application/strategic-merge-patch+json", patch))
			cancel()
			if err == nil {
				written = patch
				break
			}
			if apierrors.IsNotFound(err) {
				return
			}
			time.Sleep(statusRetry)
		}
	}
}

func (p *Pod) status() corev1.PodStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := corev1.ConditionFalse
	if p.ready {
		state = corev1.ConditionTrue
	}
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: inCluster(p.Address), PodIPs: []corev1.PodIP{{IP: inCluster(p.Address)}},
		Conditions: []corev1.PodCondition{
			{Type: corev1.ContainersReady, Status: state}, {Type: corev1.PodReady, Status: state},
		},
	}
}

// Delete deletes the pod. It returns when the container has drained and ended, and the object is gone.
func (p *Pod) Delete(ctx context.Context) error {
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.settings.Namespace, Name: p.Name}}
	if err := Retry(ctx, func(ctx context.Context) error {
		return client.IgnoreNotFound(p.settings.Client.Delete(ctx, object))
	}); err != nil {
		return err
	}
	return p.end(ctx, object)
}

func (p *Pod) end(ctx context.Context, object *corev1.Pod) error {
	close(p.deleted)
	<-p.gone
	err := Retry(ctx, func(ctx context.Context) error {
		return client.IgnoreNotFound(p.settings.Client.Delete(ctx, object, client.GracePeriodSeconds(0)))
	})
	p.Close()
	return err
}

// Close kills the container and releases the pod's resources. It does not call the API server.
func (p *Pod) Close() {
	_ = p.container.Signal(syscall.SIGKILL)
	p.Line.Close()
	p.Volume.remove()
}

// Kill kills the container.
func (p *Pod) Kill() { _ = p.container.Signal(syscall.SIGKILL) }

// RestartInPlace kills the container, which starts again before the pod's readiness and endpoint change.
func (p *Pod) RestartInPlace() {
	p.inPlace.Store(true)
	p.Kill()
}

// End kills the container, and returns when it has ended.
func (p *Pod) End() {
	p.Kill()
	for p.container.Running() {
		time.Sleep(time.Millisecond)
	}
}

// SuspendKubelet suspends or resumes the pod's kubelet, as if its node were frozen.
func (p *Pod) SuspendKubelet(suspended bool) { p.suspended.Store(suspended) }

// Freeze stops the container by SIGSTOP.
func (p *Pod) Freeze() { _ = p.container.Signal(syscall.SIGSTOP) }

// Thaw continues a frozen container.
func (p *Pod) Thaw() { _ = p.container.Signal(syscall.SIGCONT) }

// Retry repeats a request until it succeeds, ctx ends, or the API server rejects it for good.
func Retry(ctx context.Context, call func(ctx context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(ctx, apiTimeout)
		err := call(once)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
			return err
		}
		Sleep(ctx, statusRetry)
	}
}

// Sleep waits for a time, or until ctx ends.
func Sleep(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

func base64Of(text []byte) string { return base64.StdEncoding.EncodeToString(text) }
