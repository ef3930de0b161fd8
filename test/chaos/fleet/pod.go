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

// The chart's probes, and what a kubelet does by them.
const (
	readinessPeriod, readinessTimeout, readinessFailures = 5 * time.Second, 2 * time.Second, 2
	livenessPeriod, livenessTimeout, livenessFailures    = 10 * time.Second, 5 * time.Second, 3
	// firstProbe is when a container that was just started is first asked.
	firstProbe = time.Second
	// restartDelay is the time from the end of a container to its next start.
	restartDelay = time.Second
	// inPlaceDelay is the same where a kubelet is quick: less than endpoints take to change.
	inPlaceDelay = 500 * time.Millisecond
	// statusRetry is when a kubelet tries again to write what the API server has not taken.
	statusRetry = 500 * time.Millisecond
	// apiTimeout is the time for one call to the API server.
	apiTimeout = 5 * time.Second
)

// Ports are where every replica listens, each on an address of its own: for Hook, Probes and Metrics.
type Ports struct{ Hook, Probes, Metrics int }

// Settings are what all pods of a fleet have in common.
type Settings struct {
	// Client is the kubelet's; Timeline takes what happens to pods, and Plane is what replicas get a line to.
	Client   client.Client
	Timeline *Timeline
	Plane    *Plane
	Ports    Ports
	// Namespace holds the pods, and Labels are what the Service selects them by.
	Namespace string
	Labels    map[string]string
	// Dir has a directory for each pod.
	Dir string
	// Flags are the operator's, beside those that differ from pod to pod.
	Flags []string
	// DrainDelay is that of the operator, and Grace the pod's grace period.
	DrainDelay, Grace time.Duration
	// SnapshotOctets is the size of a pod's volume for its snapshot.
	SnapshotOctets int
}

// Pod is one replica: its object in the API server, its container, its volume, and its line to the API server.
type Pod struct {
	// Name, UID and Address are the pod's. No two of a run have the same address.
	Name, UID, Address string
	// Binary is the operator's program in the pod's image.
	Binary string
	// Line is its connection to the API server.
	Line *tcpproxy.Proxy
	// Volume holds its stored snapshot. It lives as long as the pod.
	Volume *Volume

	settings  *Settings
	container *Program
	probe     http.Client
	deleted   chan struct{} // closed when the pod is told to go
	gone      chan struct{} // closed when it has

	suspended atomic.Bool // the kubelet
	inPlace   atomic.Bool // the next restart changes no endpoint

	mu     sync.Mutex
	ready  bool
	starts []history.Moment
	dirty  chan struct{} // holds one thing if the status is to be written
	// held says that a container that ends is not started again until it is released.
	held chan struct{}
}

// CreatePod creates a pod and starts it, with further flags of its own.
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
	if err := retry(ctx, func(ctx context.Context) error {
		err := s.Client.Create(ctx, object)
		if apierrors.IsAlreadyExists(err) { // an answer was lost on its way
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
	volume, err := newVolume(filepath.Join(dir, "snapshot"), s.SnapshotOctets)
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
	// A pod outlives what created it.
	background := context.WithoutCancel(ctx)
	go p.live()
	go p.reportStatus(background)
	return p, nil
}

// live runs the container until the pod is deleted.
func (p *Pod) live() {
	defer close(p.gone)
	for {
		exited, err := p.start()
		if err != nil {
			p.settings.Timeline.Note("%s does not start: %v", p.Name, err)
			return
		}
		failing := p.ask("/healthz", livenessPeriod, livenessTimeout, livenessFailures, exited, nil)
		p.ask("/readyz", readinessPeriod, readinessTimeout, readinessFailures, exited, p.setReady)
		select {
		case <-exited:
			p.settings.Timeline.Note("%s: its container has ended", p.Name)
		case <-failing:
			p.settings.Timeline.Note("%s is not alive by its probe: its container is killed", p.Name)
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
		if !p.rest() {
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

// rest waits until the container may be started again, and reports false if the pod is to go instead.
func (p *Pod) rest() bool {
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

// Hold keeps a container that ends from being started again until release is called.
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

// ask probes the container until it has exited. The channel is closed after so many failures in a row; where tell is given, it
// is told of each change instead.
func (p *Pod) ask(path string, period, timeout time.Duration, failures int, exited <-chan struct{}, tell func(bool)) <-chan struct{} {
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
			if answers := p.answers(path, timeout); p.suspended.Load() {
				continue // a probe that the standing still fell into tells nothing
			} else if answers {
				failed = 0
				if tell != nil && p.container.Running() {
					tell(true)
				}
				continue
			}
			if failed++; failed < failures {
				continue
			}
			if tell == nil {
				close(failing)
				return
			}
			tell(false)
		}
	}()
	return failing
}

func (p *Pod) answers(path string, timeout time.Duration) bool {
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

// Ready says what the readiness probe says.
func (p *Pod) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// Starts returns when the container was started, each time.
func (p *Pod) Starts() []history.Moment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]history.Moment{}, p.starts...)
}

// reportStatus writes the pod's status whenever it changes, for as long as the pod is.
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

// Delete deletes the pod, lets its container drain and stop, and returns when it is gone.
func (p *Pod) Delete(ctx context.Context) error {
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.settings.Namespace, Name: p.Name}}
	if err := retry(ctx, func(ctx context.Context) error {
		return client.IgnoreNotFound(p.settings.Client.Delete(ctx, object))
	}); err != nil {
		return err
	}
	return p.end(ctx, object)
}

func (p *Pod) end(ctx context.Context, object *corev1.Pod) error {
	close(p.deleted)
	<-p.gone
	err := retry(ctx, func(ctx context.Context) error {
		return client.IgnoreNotFound(p.settings.Client.Delete(ctx, object, client.GracePeriodSeconds(0)))
	})
	p.Close()
	return err
}

// Close kills what is left of the pod, without a word to the API server.
func (p *Pod) Close() {
	_ = p.container.Signal(syscall.SIGKILL)
	p.Line.Close()
	p.Volume.remove()
}

// Kill kills the container.
func (p *Pod) Kill() { _ = p.container.Signal(syscall.SIGKILL) }

// RestartInPlace kills the container, which is started again before anybody is told: its endpoint stays as it is.
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

// SuspendKubelet has the pod's kubelet look away, or look again, as it does while its node stands still.
func (p *Pod) SuspendKubelet(suspended bool) { p.suspended.Store(suspended) }

// Freeze stops the container where it is, and Thaw lets it go on.
func (p *Pod) Freeze() { _ = p.container.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen container go on.
func (p *Pod) Thaw() { _ = p.container.Signal(syscall.SIGCONT) }

// retry calls the API server until it takes what it is told, or ctx ends.
func retry(ctx context.Context, call func(ctx context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(ctx, apiTimeout)
		err := call(once)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsConflict(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(statusRetry):
		}
	}
}

func base64Of(text []byte) string { return base64.StdEncoding.EncodeToString(text) }
