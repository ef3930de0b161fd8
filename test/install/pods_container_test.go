package install

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/fixture"
)

// pod is a running pod with one container.
type pod struct {
	key    types.NamespacedName
	labels map[string]string
	dir    string
	ports  map[string]string // the addresses on this machine, by the name of the container's port
	log    *fixture.Transcript

	container *exec.Cmd
	started   metav1.Time
	ready     atomic.Bool
	unhealthy atomic.Pointer[string] // why the liveness or startup probe has failed for good; nil if not
	// failed counts the failed probes before the pod first was ready. A kubelet would write a Warning Event for each.
	failed   atomic.Int32
	exited   chan struct{}
	stopping time.Time // when SIGTERM was sent
}

// startPod starts a pod's container.
func (n *node) startPod(ctx context.Context, object *corev1.Pod) (*pod, error) {
	if len(object.Spec.Containers) != 1 || len(object.Spec.InitContainers) > 0 {
		return nil, errors.New("the stand-in runs pods of one container")
	}
	container := &object.Spec.Containers[0]
	p := &pod{
		key: client.ObjectKeyFromObject(object), labels: object.Labels, dir: filepath.Join(n.dir, string(object.UID)),
		log: &fixture.Transcript{}, exited: make(chan struct{}), started: metav1.Now(),
	}
	if err := errors.Join(os.MkdirAll(p.dir, 0o700), n.writeVolumes(ctx, object, p.dir)); err != nil {
		return nil, err
	}
	var err error
	if p.ports, err = freePorts(container.Ports); err != nil {
		return nil, err
	}
	path, args, err := n.commandLine(ctx, container, p)
	if err != nil {
		return nil, err
	}
	p.container = exec.Command(path, args...)
	if p.container.Env, err = n.environment(ctx, object, p); err != nil {
		return nil, err
	}
	p.container.Dir = p.dir
	p.container.Stdout, p.container.Stderr = p.log, p.log
	if err := p.container.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.container.Wait() // users of exited read the process state
		p.ready.Store(false)
		close(p.exited)
	}()
	p.probe(container)
	return p, nil
}

// freePorts returns a free address of this machine for each port of the container.
func freePorts(ports []corev1.ContainerPort) (map[string]string, error) {
	addresses := map[string]string{}
	for _, port := range ports {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }() // at the end of the function, so that all ports are different
		addresses[port.Name] = listener.Addr().String()
	}
	return addresses, nil
}

// lostItsPort reports whether the container failed because another program had taken one of its ports.
func (p *pod) lostItsPort() bool {
	select {
	case <-p.exited:
		return strings.Contains(p.log.String(), syscall.EADDRINUSE.Error())
	default:
		return false
	}
}

// probe runs the probes of a container, as a kubelet does: the others begin after the startup probe has succeeded. A
// container without a readiness probe is ready at once.
func (p *pod) probe(container *corev1.Container) {
	startup := container.StartupProbe
	if startup == nil {
		p.probeStarted(container)
		return
	}
	go func() {
		select {
		case <-p.exited:
			return
		case <-time.After(time.Duration(startup.InitialDelaySeconds) * time.Second):
		}
		client := probeClient(startup)
		for failures := int32(0); ; {
			err := p.get(client, startup.HTTPGet)
			if err == nil {
				p.probeStarted(container)
				return
			}
			p.failed.Add(1)
			if failures++; failures >= max(1, startup.FailureThreshold) {
				p.unhealthy.CompareAndSwap(nil, new("not started: "+err.Error()))
				return
			}
			select {
			case <-p.exited:
				return
			case <-time.After(time.Duration(max(1, startup.PeriodSeconds)) * time.Second):
			}
		}
	}()
}

func (p *pod) probeStarted(container *corev1.Container) {
	if container.ReadinessProbe == nil {
		p.ready.Store(true)
	} else {
		// More often than the chart says, because the tests would have to wait for it.
		go p.ask(container.ReadinessProbe, 50*time.Millisecond, func(err error) { p.ready.Store(err == nil) })
	}
	if probe := container.LivenessProbe; probe != nil {
		go p.ask(probe, time.Duration(max(1, probe.PeriodSeconds))*time.Second, func(err error) {
			if err != nil {
				p.unhealthy.CompareAndSwap(nil, new(err.Error()))
			}
		})
	}
}

// ask repeats a probe until the container ends. It calls found with nil after each success, and with an error after
// each failure from the failure threshold on.
func (p *pod) ask(probe *corev1.Probe, period time.Duration, found func(error)) {
	failures, succeeded := int32(0), false
	client := probeClient(probe)
	for {
		err := p.get(client, probe.HTTPGet)
		if succeeded = succeeded || err == nil; !succeeded {
			p.failed.Add(1)
		}
		if err == nil {
			failures = 0
			found(nil)
		} else if failures++; failures >= max(1, probe.FailureThreshold) {
			found(err)
		}
		select {
		case <-p.exited:
			return
		case <-time.After(period):
		}
	}
}

func probeClient(probe *corev1.Probe) *http.Client {
	return &http.Client{
		Timeout:   time.Duration(max(1, probe.TimeoutSeconds)) * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
}

func (p *pod) get(client *http.Client, probe *corev1.HTTPGetAction) error {
	if probe == nil || probe.Port.Type != intstr.String {
		return errors.New("the stand-in asks by HTTP, at a port with a name")
	}
	address, found := p.ports[probe.Port.StrVal]
	if !found {
		return fmt.Errorf("the container has no port %q", probe.Port.StrVal)
	}
	response, err := client.Get("http://" + address + probe.Path)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return errors.New(response.Status)
	}
	return nil
}

// stop sends SIGTERM to the container, and SIGKILL after the grace period, as a kubelet does. It does not wait, and
// reports whether the container has ended.
func (p *pod) stop(grace time.Duration) bool {
	select {
	case <-p.exited:
		return true
	default:
	}
	if p.stopping.IsZero() {
		p.stopping = time.Now()
		_ = p.container.Process.Signal(syscall.SIGTERM)
	} else if time.Since(p.stopping) > grace {
		_ = p.container.Process.Kill()
	}
	return false
}

// signal sends a signal to the containers of a namespace's pods.
func (n *node) signal(t testing.TB, namespace string, signal os.Signal) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pods {
		if p.key.Namespace != namespace {
			continue
		}
		if err := p.container.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
}

// kill ends the container at once.
func (p *pod) kill() {
	_ = p.container.Process.Kill()
	<-p.exited
}

// report writes the status of a pod.
func (n *node) report(ctx context.Context, object *corev1.Pod, p *pod) error {
	if unhealthy := p.unhealthy.Load(); unhealthy != nil {
		return fmt.Errorf("the liveness probe says: %s\n%s", *unhealthy, p.log)
	}
	before := object.DeepCopy()
	status := &object.Status
	state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: p.started}}
	status.Phase = corev1.PodRunning
	select {
	case <-p.exited:
		code := p.container.ProcessState.ExitCode()
		if object.Spec.RestartPolicy != corev1.RestartPolicyNever {
			return fmt.Errorf("the container ended with code %d\n%s", code, p.log)
		}
		state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: int32(code)}}
		status.Phase = corev1.PodSucceeded
		if code != 0 {
			status.Phase = corev1.PodFailed
			state.Terminated.Message = p.log.String()
		}
	default:
	}
	ready := p.ready.Load()
	status.PodIP, status.StartTime = "127.0.0.1", &p.started
	status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	condition := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	status.Conditions = []corev1.PodCondition{condition}
	status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: object.Spec.Containers[0].Name, Image: object.Spec.Containers[0].Image, Ready: ready, State: state,
	}}
	if same(before.Status, object.Status) {
		return nil
	}
	return n.cluster.kube.Status().Update(ctx, object)
}

// environment returns the environment of the container, and variables that replace a pod's network: a kubeconfig with
// its token and the API server's address, and its ports, if the arguments leave them to the operator's defaults.
func (n *node) environment(ctx context.Context, object *corev1.Pod, p *pod) ([]string, error) {
	env := []string{"HOME=" + p.dir, "HOSTNAME=" + object.Name}
	for port, flag := range map[string]string{"hook": "HOOK", "probes": "PROBE", "metrics": "METRICS"} {
		if address, found := p.ports[port]; found {
			env = append(env, "REGISTRATION_POLICY_"+flag+"_BIND_ADDRESS="+address)
		}
	}
	mounted, err := n.tokenMounted(ctx, object)
	if err != nil {
		return nil, err
	}
	if mounted {
		kubeconfig := filepath.Join(p.dir, "kubeconfig")
		if err := n.writeKubeconfig(ctx, object, kubeconfig); err != nil {
			return nil, err
		}
		env = append(env, "KUBECONFIG="+kubeconfig)
	}
	for _, variable := range object.Spec.Containers[0].Env {
		value := variable.Value
		if source := variable.ValueFrom; source != nil {
			switch {
			case source.FieldRef != nil && source.FieldRef.FieldPath == "metadata.namespace":
				value = object.Namespace
			case source.FieldRef != nil && source.FieldRef.FieldPath == "metadata.name":
				value = object.Name
			case source.FieldRef != nil && source.FieldRef.FieldPath == "metadata.uid":
				value = string(object.UID)
			default:
				return nil, fmt.Errorf("the stand-in cannot set variable %s", variable.Name)
			}
		}
		env = append(env, variable.Name+"="+value)
	}
	return env, nil
}

// number returns a port as text.
func number(port int32) string { return strconv.Itoa(int(port)) }
