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
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	// settleWithin is how long a fleet may take to be well enough for the next fault: an API server has to come back first.
	settleWithin = 90 * time.Second
	// settled is how long a fleet must have been well.
	settled = time.Second
	// lookEvery is how often that is looked at.
	lookEvery = 200 * time.Millisecond
	// readyWithin is how long a new pod may take to be ready.
	readyWithin = 90 * time.Second
	// unfencedEvery: one in so many replicas never fences itself, and answers from its stored snapshot when it starts alone.
	unfencedEvery = 3
	// minReady is minReadySeconds of the Deployment: as long as the drain delay, as in the chart.
	minReady = drainDelay
)

// Faults carries out a script.
type Faults struct {
	settings *fleet.Settings
	proxy    *fleet.Proxy
	plane    *fleet.Plane
	timeline *fleet.Timeline
	binaries [2]string
	tenancy  *Tenancy
	authors  []*Author
	watcher  *Watcher
	// network is the first three bytes of the pods' addresses.
	network string

	// hitting is held while a replica is hit: no two are at once.
	hitting sync.Mutex

	mu   sync.Mutex
	pods []*fleet.Pod // by name
	// hitTenants are the authors of the namespaces of which faults are made.
	hitTenants map[*Author]bool
	created    int
	counts     map[script.Fault]int
	errors     []string
	// unsettled counts faults that were left out because the fleet was not well before.
	unsettled int
	// alone counts the replicas that are not fenced and started without the API server and with a good stored snapshot, and byStored
	// those that were ready so.
	alone, byStored int
	// old is every pod there was, and unfenced has the addresses of those that never fence themselves.
	old      []*fleet.Pod
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
	f.old = append(f.old, pod)
	return pod, nil
}

// remove takes a pod out of the fleet and deletes it.
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

// Replicas hits replicas, one after another, until ctx ends. Each fault waits until two other replicas get calls: a fleet of
// which every replica is hit at once answers nobody, and no proxy can help that.
func (f *Faults) Replicas(ctx context.Context, steps iter.Seq[script.Step]) {
	for step := range steps {
		sleep(ctx, step.Rest)
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

// hitReplica makes one fault of a replica. It is called with hitting locked.
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
	// What is begun is ended and undone, whenever the script ends.
	if err := f.hit(context.WithoutCancel(ctx), step, target); err != nil {
		f.fail("%s of %s: %v", step.Fault, target.Name, err)
	}
	f.timeline.Note("%s of %s is over", step.Fault, target.Name)
}

func (f *Faults) note(step script.Step, target string) {
	f.mu.Lock()
	f.counts[step.Fault]++
	f.mu.Unlock()
	f.timeline.Note("%s of %s, lasts %s", step.Fault, target, step.Lasts)
}

func (f *Faults) fail(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	f.timeline.Note("%s", text)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, text)
}

// settle waits until two replicas beside the target get calls, by the proxy's checks and by the pods' own. It reports false where
// that takes too long.
func (f *Faults) settle(ctx context.Context, target *fleet.Pod) bool {
	const others = 2
	since := time.Now()
	for begin := since; ; sleep(ctx, lookEvery) {
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
			f.timeline.Note("the fleet is not well for %s: a fault is left out", settleWithin)
			return false
		}
	}
}

// hit does one fault, and undoes what is to be undone.
func (f *Faults) hit(ctx context.Context, step script.Step, target *fleet.Pod) error {
	switch step.Fault {
	case script.Kill, script.KillLeader:
		target.Kill()
	case script.RestartInPlace:
		target.RestartInPlace()
	case script.Freeze:
		target.Freeze()
		sleep(ctx, step.Lasts)
		target.Thaw()
	case script.FreezeNode:
		target.SuspendKubelet(true)
		target.Freeze()
		sleep(ctx, step.Lasts)
		target.Thaw()
		target.SuspendKubelet(false)
	case script.Cut:
		target.Line.Cut()
		sleep(ctx, step.Lasts)
		target.Line.Restore()
	case script.Silence:
		target.Line.Silence()
		sleep(ctx, step.Lasts)
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
		err := f.damage(target, step.Flavour)
		release()
		return err
	case script.RestartAlone, script.CorruptAlone:
		return f.restartAlone(ctx, step, target)
	case script.FillDisk:
		if err := target.Volume.Fill(); err != nil {
			return err
		}
		sleep(ctx, step.Lasts)
		target.Kill() // while its disk is full
		sleep(ctx, step.Lasts)
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

// replace creates a pod in place of another. A rolling update waits until the new one is ready; an eviction does not.
func (f *Faults) replace(ctx context.Context, target *fleet.Pod, binary string, first bool) error {
	pod, err := f.create(ctx, binary)
	if err != nil {
		return err
	}
	if first {
		if err := f.awaitReady(ctx, pod); err != nil {
			return err
		}
		sleep(ctx, minReady)
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
	sleep(ctx, step.Lasts)
	return f.remove(ctx, target)
}

func (f *Faults) awaitReady(ctx context.Context, pod *fleet.Pod) error {
	for begin := time.Now(); !pod.Ready(); sleep(ctx, lookEvery) {
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

func (f *Faults) damage(target *fleet.Pod, flavour int) error {
	damage := damages[flavour%len(damages)]
	files, err := target.Volume.Damage(damage.of)
	f.timeline.Note("%s: %d stored files %s", target.Name, files, damage.name)
	return err
}

// restartAlone has a container start again while it cannot reach the API server.
func (f *Faults) restartAlone(ctx context.Context, step script.Step, target *fleet.Pod) error {
	release := target.Hold()
	target.Line.Cut()
	target.End()
	// One that has never read a namespace has stored nothing: its rules would lack that one.
	stored, err := target.Volume.Damage(func(content []byte) []byte { return content })
	if step.Fault == script.CorruptAlone {
		err = errors.Join(err, f.damage(target, step.Flavour))
	}
	release()
	sleep(ctx, step.Lasts)
	ready := target.Ready()
	f.timeline.Note("%s, alone, is ready: %t", target.Name, ready)
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

// unfencedOf returns a replica that is not fenced, where there is one, or the target: alone, a fenced one answers nobody whatever it
// has stored.
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

// awaitLeader waits for a leader; nil if there is none for long, or ctx ends.
func (f *Faults) awaitLeader(ctx context.Context) *fleet.Pod {
	for begin := time.Now(); time.Since(begin) < settleWithin && ctx.Err() == nil; sleep(ctx, lookEvery) {
		if leader := f.leader(ctx, f.all()); leader != nil {
			return leader
		}
	}
	f.timeline.Note("nobody leads: a fault is left out")
	return nil
}

// leader returns the replica that writes status, by its own word.
func (f *Faults) leader(ctx context.Context, pods []*fleet.Pod) *fleet.Pod {
	const leads = "registration_policy_leader 1"
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
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

// names returns the faults that were done, by name.
func (f *Faults) names() []script.Fault {
	var names []script.Fault
	for fault := range f.counts {
		names = append(names, fault)
	}
	slices.SortFunc(names, func(a, b script.Fault) int { return cmp.Compare(a, b) })
	return names
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}
