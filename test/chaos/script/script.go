// Package script generates random faults for a fleet. The same seed gives the same script.
package script

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is a kind of fault.
type Fault string

// The faults of replicas.
const (
	// Kill ends a container by SIGKILL.
	Kill Fault = "kill"
	// RestartInPlace ends a container by SIGKILL and starts it again half a second later at the same address, before
	// the endpoints change.
	RestartInPlace Fault = "restart-in-place"
	// KillLeader ends the container of the leader, which writes status, by SIGKILL.
	KillLeader Fault = "kill-leader"
	// Freeze stops a container by SIGSTOP, and continues it later.
	Freeze Fault = "freeze"
	// FreezeNode freezes a container together with its kubelet, so that the pod stays in the endpoints.
	FreezeNode Fault = "freeze-node"
	// Cut closes a replica's connections to the API server, and refuses new ones for a time.
	Cut Fault = "cut"
	// Silence keeps a replica's connections to the API server open and holds back all data for a time.
	Silence Fault = "silence"
	// Evict deletes a pod and creates another at the same time.
	Evict Fault = "evict"
	// Upgrade replaces a pod by one of the other version, which is ready before the old pod is deleted.
	Upgrade Fault = "upgrade"
	// Roll upgrades all pods, one after another.
	Roll Fault = "roll"
	// Scale adds a pod, and later deletes one.
	Scale Fault = "scale"
	// Corrupt kills a container and damages its stored snapshot before it starts again.
	Corrupt Fault = "corrupt"
	// RestartAlone restarts a container that cannot reach the API server for a time.
	RestartAlone Fault = "restart-alone"
	// CorruptAlone combines Corrupt and RestartAlone.
	CorruptAlone Fault = "corrupt-alone"
	// FillDisk fills the volume of a replica's stored snapshot for a time, in which it kills the container.
	FillDisk Fault = "fill-disk"
)

// The faults of the control plane, and of the connections to it.
const (
	// StopAPIServer stops kube-apiserver by SIGSTOP, and continues it later.
	StopAPIServer Fault = "stop-apiserver"
	// KillAPIServer kills kube-apiserver, and starts it again later.
	KillAPIServer Fault = "kill-apiserver"
	// StopEtcd and KillEtcd are the same for etcd.
	StopEtcd Fault = "stop-etcd"
	KillEtcd Fault = "kill-etcd"
	// Slow adds latency between one replica and the API server, for a time. SlowAll does so for every replica.
	Slow    Fault = "slow"
	SlowAll Fault = "slow-all"
)

// The faults of tenants.
const (
	// TakeRights removes the operator's rights in a tenant's namespace for a time, in which it restarts a replica.
	TakeRights Fault = "take-rights"
	// DeleteNamespace deletes a tenant's namespace with its content, and creates it again later.
	DeleteNamespace Fault = "delete-namespace"
	// Flood stores, for a time, a list and then policies that take more than a tenant's memory budget.
	Flood Fault = "flood"
)

// Step is a fault to make.
type Step struct {
	Fault Fault
	// Target selects a replica: its index, oldest first, is Target modulo the number of replicas.
	Target int
	// Duration is how long the fault lasts.
	Duration time.Duration
	// Delay is the delay before the fault.
	Delay time.Duration
	// Variant is a random number that selects a variant of the fault, such as the kind of damage.
	Variant int
}

// String describes the step.
func (s Step) String() string {
	return fmt.Sprintf("%s target %d, lasts %s, after %s", s.Fault, s.Target, s.Duration, s.Delay)
}

type durationRange struct{ shortest, longest time.Duration }

// The faults with their durations. Each round makes every fault of a set once, in random order.
//
// A control plane that is unreachable for longer than --fence-after would make all replicas refuse calls, as
// documented. So outages for all replicas are far shorter, and only those of single replicas may be longer.
var (
	replicaFaults = map[Fault]durationRange{
		Kill: {}, KillLeader: {}, RestartInPlace: {}, Evict: {}, Upgrade: {}, Corrupt: {},
		Freeze:  {2 * time.Second, 8 * time.Second},
		Cut:     {4 * time.Second, 12 * time.Second},
		Silence: {4 * time.Second, 12 * time.Second},
		Scale:   {2 * time.Second, 5 * time.Second}, RestartAlone: {9 * time.Second, 14 * time.Second},
		CorruptAlone: {6 * time.Second, 10 * time.Second}, FillDisk: {3 * time.Second, 6 * time.Second},
	}
	planeFaults = map[Fault]durationRange{
		StopAPIServer: {2 * time.Second, 10 * time.Second}, KillAPIServer: {0, 3 * time.Second},
		StopEtcd: {2 * time.Second, 10 * time.Second}, KillEtcd: {0, 5 * time.Second},
		Slow: {4 * time.Second, 8 * time.Second}, SlowAll: {4 * time.Second, 8 * time.Second},
	}
	// Longer than --fence-after: replicas must keep answering although one namespace is unreadable for that long.
	rightsFaults = map[Fault]durationRange{TakeRights: {FenceAfter + 5*time.Second, FenceAfter + 8*time.Second}}
	tenantFaults = map[Fault]durationRange{DeleteNamespace: {4 * time.Second, 8 * time.Second}, Flood: {4 * time.Second, 8 * time.Second}}
	// longFaults are made from the second round on, because a short run has no time for them.
	longFaults = map[Fault]durationRange{
		Roll: {}, Freeze: {15 * time.Second, 50 * time.Second},
		FreezeNode: {10 * time.Second, 45 * time.Second}, // after 50 s a node counts as gone
		Cut:        {15 * time.Second, LongestCut}, Silence: {15 * time.Second, LongestCut},
	}
)

// NeverHanging returns the faults during which a replica answers or refuses connections, and never leaves a caller
// without a response. A proxy without health checks only tolerates those.
func NeverHanging() []Fault {
	var faults []Fault
	for _, faultsOf := range []map[Fault]durationRange{replicaFaults, planeFaults, rightsFaults, tenantFaults, longFaults} {
		for fault := range faultsOf {
			if fault != Freeze && fault != FreezeNode && !slices.Contains(faults, fault) {
				faults = append(faults, fault)
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// LongestCut is the longest time that a fault separates a single replica from the API server.
const LongestCut = time.Minute

// FenceAfter is the operators' --fence-after.
const FenceAfter = 30 * time.Second

// The delays before a fault.
var (
	replicaRest = durationRange{500 * time.Millisecond, 3 * time.Second}
	planeRest   = durationRange{5 * time.Second, 12 * time.Second}
	tenantRest  = durationRange{2 * time.Second, 6 * time.Second}
)

// Replicas returns an endless sequence of faults of replicas. If only is not empty, it has only those faults.
func Replicas(seed uint64, only ...Fault) iter.Seq[Step] {
	return generate(seed, 1, replicaFaults, longFaults, replicaRest, only)
}

// Plane returns an endless sequence of faults of the control plane, see [Replicas].
func Plane(seed uint64, only ...Fault) iter.Seq[Step] {
	return generate(seed, 2, planeFaults, nil, planeRest, only)
}

// Rights returns an endless sequence of faults of the operator's rights in a tenant's namespace, see [Replicas].
func Rights(seed uint64, only ...Fault) iter.Seq[Step] {
	return generate(seed, 4, rightsFaults, nil, tenantRest, only)
}

// Tenants returns an endless sequence of the other faults of a tenant, see [Replicas].
func Tenants(seed uint64, only ...Fault) iter.Seq[Step] {
	return generate(seed, 5, tenantFaults, nil, tenantRest, only)
}

// Required returns the faults that a run of two minutes or longer must make.
func Required() []Fault {
	return slices.Concat(slices.Sorted(maps.Keys(rightsFaults)), slices.Sorted(maps.Keys(tenantFaults)), []Fault{Slow, SlowAll})
}

// generate returns an endless sequence of random steps: rounds of faults, and from the second round on also of later.
func generate(seed, stream uint64, faults, later map[Fault]durationRange, rest durationRange, only []Fault) iter.Seq[Step] {
	type entry struct {
		fault     Fault
		durations durationRange
	}
	faultsOf := func(of map[Fault]durationRange) []entry {
		var round []entry
		for fault, durations := range of {
			if len(only) == 0 || slices.Contains(only, fault) {
				round = append(round, entry{fault, durations})
			}
		}
		slices.SortFunc(round, func(a, b entry) int { return cmp.Compare(a.fault, b.fault) })
		return round
	}
	return func(yield func(Step) bool) {
		chance := rand.New(rand.NewPCG(seed, stream))
		if len(faultsOf(faults))+len(faultsOf(later)) == 0 {
			return
		}
		for round := faultsOf(faults); ; round = slices.Concat(faultsOf(faults), faultsOf(later)) {
			chance.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
			for _, entry := range round {
				step := Step{
					Fault: entry.fault, Target: chance.IntN(1 << 16), Variant: chance.IntN(1 << 16),
					Duration: between(chance, entry.durations), Delay: between(chance, rest),
				}
				if !yield(step) {
					return
				}
			}
		}
	}
}

func between(chance *rand.Rand, t durationRange) time.Duration {
	span := t.longest - t.shortest
	if span == 0 {
		return t.shortest
	}
	return t.shortest + time.Duration(chance.Int64N(int64(span))).Round(time.Millisecond)
}
