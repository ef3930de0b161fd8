package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/policies"
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	// settleWithin is how long the fleet may take to be healthy enough for the next fault, including a restart of the
	// API server.
	settleWithin = 90 * time.Second
	// settled is how long the fleet must have been healthy before the next fault.
	settled = time.Second
	// pollInterval is the interval between polls of a condition.
	pollInterval = 200 * time.Millisecond
	// readyWithin is how long a new pod may take to be ready.
	readyWithin = 90 * time.Second
	// One in unfencedEvery replicas has no --fence-after. If such a replica starts without the API server, it answers
	// from its stored snapshot.
	unfencedEvery = 3
	// minReady is minReadySeconds of the Deployment. As in the chart, it equals the drain delay.
	minReady = drainDelay
)

// Faults makes the faults of a script.
type Faults struct {
	settings *fleet.Settings
	proxy    *fleet.Proxy
	plane    *fleet.Plane
	timeline *fleet.Timeline
	binaries [2]string
	tenancy  *Tenancy
	authors  []*policies.Author
	watcher  *Watcher
	// network is the first three bytes of the pods' addresses.
	network string

	// hitting is locked during a fault of a replica, so that there is only one at a time.
	hitting sync.Mutex

	mu   sync.Mutex
	pods []*fleet.Pod // by name
	// hitTenants are the authors of the namespaces that currently have a fault.
	hitTenants map[*policies.Author]bool
	created    int
	counts     map[script.Fault]int
	errors     []string
	// unsettled counts faults that were skipped because the fleet was not healthy.
	unsettled int
	// alone counts restarts of replicas without --fence-after that had an undamaged stored snapshot and could not reach
	// the API server. byStored counts the restarts without the API server after which a replica became ready.
	alone, byStored int
	// allPods has every pod of the run, and unfenced the addresses of those without --fence-after.
	allPods  []*fleet.Pod
	unfenced map[string]bool
}

// create creates a pod and adds it to the fleet.
func (f *Faults) create(ctx context.Context, binary string) (*fleet.Pod, error) {
	f.mu.Lock()
	f.created++
	number := f.created
	f.mu.Unlock()
	address := fmt.Sprintf("%s.%d", f.network, number)
	var flags []string
	if fenced := number%unfencedEvery != 0; fenced {
		flags = []string{"--fence-after", fenceAfter.String()}
	}
	pod, err := fleet.CreatePod(ctx, f.settings, fmt.Sprintf("replica-%03d", number), address, binary, flags...)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unfenced[address] = len(flags) == 0
	f.pods = append(f.pods, pod)
	f.allPods = append(f.allPods, pod)
	return pod, nil
}

// remove removes a pod from the fleet and deletes it.
func (f *Faults) remove(ctx context.Context, pod *fleet.Pod) error {
	f.mu.Lock()
	f.pods = slices.DeleteFunc(f.pods, func(p *fleet.Pod) bool { return p == pod })
	f.mu.Unlock()
	return pod.Delete(ctx)
}

func (f *Faults) all() []*fleet.Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pods)
}

// Replicas makes faults of replicas, one at a time, until ctx ends. Each fault waits until two other replicas get
// calls, because a fleet with faults in all replicas cannot answer.
func (f *Faults) Replicas(ctx context.Context, steps iter.Seq[script.Step]) {
	for step := range steps {
		fleet.Sleep(ctx, step.Delay)
		f.hitting.Lock()
		if ctx.Err() == nil {
			f.hitReplica(ctx, step)
		}
		f.hitting.Unlock()
		if ctx.Err() != nil {
			return
		}
	}
}

// hitReplica makes a fault of a replica. It must be called with hitting locked.
func (f *Faults) hitReplica(ctx context.Context, step script.Step) {
	pods := f.all()
	target := pods[step.Target%len(pods)]
	if step.Fault == script.KillLeader {
		if target = f.awaitLeader(ctx); target == nil {
			return
		}
	}
	if step.Fault == script.RestartAlone || step.Fault == script.CorruptAlone {
		target = f.unfencedOf(pods, target)
	}
	if !f.settle(ctx, target) {
		return
	}
	f.note(step, target.Name)
	// A fault that has begun is completed and undone, even if ctx ends.
	if err := f.hit(context.WithoutCancel(ctx), step, target); err != nil {
		f.fail("%s of %s: %v", step.Fault, target.Name, err)
	}
	f.timeline.Note("%s of %s is over", step.Fault, target.Name)
}

func (f *Faults) note(step script.Step, target string) {
	f.mu.Lock()
	f.counts[step.Fault]++
	f.mu.Unlock()
	f.timeline.Note("%s of %s, lasts %s", step.Fault, target, step.Duration)
}

func (f *Faults) fail(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	f.timeline.Note("%s", text)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, text)
}

// settle waits until two replicas other than the target have been ready and have got calls from the proxy for a moment.
// It returns false if that takes longer than settleWithin.
func (f *Faults) settle(ctx context.Context, target *fleet.Pod) bool {
	const others = 2
	since := time.Now()
	for begin := since; ; fleet.Sleep(ctx, pollInterval) {
		well := 0
		up, err := f.proxy.Up()
		if err == nil {
			for _, pod := range f.all() {
				if pod != target && pod.Ready() && up[pod.Address] {
					well++
				}
			}
		}
		switch {
		case ctx.Err() != nil:
			return false
		case well < others:
			since = time.Now()
		case time.Since(since) >= settled:
			return true
		}
		if time.Since(begin) > settleWithin {
			f.mu.Lock()
			f.unsettled++
			f.mu.Unlock()
			f.timeline.Note("the fleet is not healthy within %s: a fault is skipped", settleWithin)
			return false
		}
	}
}

// hit makes a fault, and undoes it.
func (f *Faults) hit(ctx context.Context, step script.Step, target *fleet.Pod) error {
	switch step.Fault {
	case script.Kill, script.KillLeader:
		target.Kill()
	case script.RestartInPlace:
		target.RestartInPlace()
	case script.Freeze:
		target.Freeze()
		fleet.Sleep(ctx, step.Duration)
		target.Thaw()
	case script.FreezeNode:
		target.SuspendKubelet(true)
		target.Freeze()
		fleet.Sleep(ctx, step.Duration)
		target.Thaw()
		target.SuspendKubelet(false)
	case script.Cut:
		target.Line.Cut()
		fleet.Sleep(ctx, step.Duration)
		target.Line.Restore()
	case script.Silence:
		target.Line.Silence()
		fleet.Sleep(ctx, step.Duration)
		target.Line.Restore()
	case script.Evict:
		return f.replace(ctx, target, target.Binary, false)
	case script.Upgrade:
		return f.replace(ctx, target, f.other(target), true)
	case script.Roll:
		for _, pod := range f.all() {
			if err := f.replace(ctx, pod, f.other(pod), true); err != nil {
				return err
			}
		}
	case script.Scale:
		return f.scale(ctx, step, target)
	case script.Corrupt:
		release := target.Hold()
		target.End()
		err := f.damage(target, step.Variant)
		release()
		return err
	case script.RestartAlone, script.CorruptAlone:
		return f.restartAlone(ctx, step, target)
	case script.FillDisk:
		if err := target.Volume.Fill(); err != nil {
			return err
		}
		fleet.Sleep(ctx, step.Duration)
		target.Kill() // it restarts with a full disk
		fleet.Sleep(ctx, step.Duration)
		return target.Volume.Clear()
	default:
		return fmt.Errorf("no such fault: %s", step.Fault)
	}
	return nil
}

func (f *Faults) other(pod *fleet.Pod) string {
	if pod.Binary == f.binaries[0] {
		return f.binaries[1]
	}
	return f.binaries[0]
}

// replace creates a pod and deletes target. If first is set, it waits until the new pod is ready before it deletes
// target, as a rolling update does.
func (f *Faults) replace(ctx context.Context, target *fleet.Pod, binary string, first bool) error {
	pod, err := f.create(ctx, binary)
	if err != nil {
		return err
	}
	if first {
		if err := f.awaitReady(ctx, pod); err != nil {
			return err
		}
		fleet.Sleep(ctx, minReady)
	}
	return f.remove(ctx, target)
}

func (f *Faults) scale(ctx context.Context, step script.Step, target *fleet.Pod) error {
	pod, err := f.create(ctx, target.Binary)
	if err != nil {
		return err
	}
	if err := f.awaitReady(ctx, pod); err != nil {
		return err
	}
	fleet.Sleep(ctx, step.Duration)
	return f.remove(ctx, target)
}

func (f *Faults) awaitReady(ctx context.Context, pod *fleet.Pod) error {
	for begin := time.Now(); !pod.Ready(); fleet.Sleep(ctx, pollInterval) {
		if time.Since(begin) > readyWithin {
			return fmt.Errorf("%s is not ready within %s", pod.Name, readyWithin)
		}
	}
	return nil
}

// damages are the ways in which a stored snapshot is damaged.
var damages = []struct {
	name string
	of   func(content []byte) []byte
}{
	{"cut in half", func(content []byte) []byte { return content[:len(content)/2] }},
	{"emptied", func([]byte) []byte { return nil }},
	{"one bit flipped", func(content []byte) []byte {
		if len(content) > 0 {
			content[len(content)/2] ^= 1
		}
		return content
	}},
	{"other text", func([]byte) []byte { return []byte("this is no snapshot\n") }},
	{"doubled", func(content []byte) []byte { return append(content, content...) }},
}

func (f *Faults) damage(target *fleet.Pod, variant int) error {
	damage := damages[variant%len(damages)]
	files, err := target.Volume.Damage(damage.of)
	f.timeline.Note("%s: %d stored files %s", target.Name, files, damage.name)
	return err
}

// restartAlone restarts a container while it cannot reach the API server, with its stored snapshot intact or damaged.
func (f *Faults) restartAlone(ctx context.Context, step script.Step, target *fleet.Pod) error {
	release := target.Hold()
	target.Line.Cut()
	target.End()
	// stored is 0 if the replica has never read one of its namespaces: it then stores no snapshot.
	stored, err := target.Volume.Damage(func(content []byte) []byte { return content })
	if step.Fault == script.CorruptAlone {
		err = errors.Join(err, f.damage(target, step.Variant))
	}
	release()
	fleet.Sleep(ctx, step.Duration)
	ready := target.Ready()
	f.timeline.Note("%s, without the API server, is ready: %t", target.Name, ready)
	f.mu.Lock()
	if step.Fault == script.RestartAlone && f.unfenced[target.Address] && stored > 0 {
		f.alone++
	}
	if ready {
		f.byStored++
	}
	f.mu.Unlock()
	target.Line.Restore()
	return err
}

// unfencedOf returns a replica without --fence-after, or the target if there is none. With the flag, a replica that
// starts without the API server does not become ready.
func (f *Faults) unfencedOf(pods []*fleet.Pod, target *fleet.Pod) *fleet.Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range pods {
		if f.unfenced[pod.Address] {
			return pod
		}
	}
	return target
}

// awaitLeader waits for a leader. It returns nil if there is none within settleWithin or until ctx ends.
func (f *Faults) awaitLeader(ctx context.Context) *fleet.Pod {
	for begin := time.Now(); time.Since(begin) < settleWithin && ctx.Err() == nil; fleet.Sleep(ctx, pollInterval) {
		if leader := f.leader(ctx, f.all()); leader != nil {
			return leader
		}
	}
	f.timeline.Note("there is no leader: a fault is skipped")
	return nil
}

// leader returns the replica whose metrics say that it leads.
func (f *Faults) leader(ctx context.Context, pods []*fleet.Pod) *fleet.Pod {
	const leads = "registration_policy_leader 1"
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for _, pod := range pods {
		url := fmt.Sprintf("http://%s:%d/metrics", pod.Address, f.settings.Ports.Metrics)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			continue
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err == nil && strings.Contains(string(text), "\n"+leads+"\n") {
			return pod
		}
	}
	return nil
}

// end ends all pods.
func (f *Faults) end() {
	for _, pod := range f.all() {
		pod.Close()
	}
}

// names returns the faults that were made, sorted by name.
func (f *Faults) names() []script.Fault {
	var names []script.Fault
	for fault := range f.counts {
		names = append(names, fault)
	}
	slices.SortFunc(names, func(a, b script.Fault) int { return cmp.Compare(a, b) })
	return names
}
