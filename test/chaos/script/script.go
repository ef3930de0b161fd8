// Package script makes up what is done to a fleet. The same seed gives the same script.
package script

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is what is done.
type Fault string

// The faults of replicas.
const (
	// Kill ends a container by SIGKILL.
	Kill Fault = "kill"
	// RestartInPlace ends a container by SIGKILL and starts it again half a second later, under the same address: sooner than any
	// endpoint changes.
	RestartInPlace Fault = "restart-in-place"
	// KillLeader does it to the replica that writes status.
	KillLeader Fault = "kill-leader"
	// Freeze stops a container by SIGSTOP, for a time.
	Freeze Fault = "freeze"
	// FreezeNode stops a container and its kubelet alike, for a time: nobody takes the pod out of the endpoints.
	FreezeNode Fault = "freeze-node"
	// Cut cuts a replica's connections to the API server, and refuses new ones, for a time.
	Cut Fault = "cut"
	// Silence keeps a replica's connections to the API server and passes nothing on, for a time.
	Silence Fault = "silence"
	// Evict deletes a pod, with another one created at the same time.
	Evict Fault = "evict"
	// Upgrade replaces a pod by one of the other version: the new one is ready before the old one is deleted.
	Upgrade Fault = "upgrade"
	// Roll does that to all pods, one after another.
	Roll Fault = "roll"
	// Scale adds a pod, and deletes one after a time.
	Scale Fault = "scale"
	// Corrupt kills a container and damages its stored snapshot before it starts again.
	Corrupt Fault = "corrupt"
	// RestartAlone kills a container whose line to the API server is cut, for a time.
	RestartAlone Fault = "restart-alone"
	// CorruptAlone is both.
	CorruptAlone Fault = "corrupt-alone"
	// FillDisk fills the volume of a replica's stored snapshot for a time, and kills its container at the end.
	FillDisk Fault = "fill-disk"
)

// The faults of the control plane, and of the lines to it.
const (
	// StopAPIServer stops kube-apiserver by SIGSTOP, for a time.
	StopAPIServer Fault = "stop-apiserver"
	// KillAPIServer kills it and starts it again after a time.
	KillAPIServer Fault = "kill-apiserver"
	// StopEtcd and KillEtcd are the same for etcd.
	StopEtcd Fault = "stop-etcd"
	KillEtcd Fault = "kill-etcd"
	// Slow slows the line between a replica and the API server, for a time. SlowAll does it to every replica's.
	Slow    Fault = "slow"
	SlowAll Fault = "slow-all"
)

// The faults of tenants.
const (
	// TakeRights takes the operators' rights in a tenant's namespace away, for a time, and has a replica start meanwhile.
	TakeRights Fault = "take-rights"
	// DeleteNamespace deletes a tenant's namespace with all that is in it, and makes it again after a time.
	DeleteNamespace Fault = "delete-namespace"
	// Flood stores a list and policies that are more than a tenant's budget, for a time.
	Flood Fault = "flood"
)

// Step is one fault.
type Step struct {
	Fault Fault
	// Target says which replica: one counts through those that are there, by name.
	Target int
	// Lasts is how long what lasts does.
	Lasts time.Duration
	// Rest is the time before it.
	Rest time.Duration
	// Flavour chooses among the ways to do it.
	Flavour int
}

// String returns the step in words.
func (s Step) String() string {
	return fmt.Sprintf("%s target %d, lasts %s, after %s", s.Fault, s.Target, s.Lasts, s.Rest)
}

// times are the least and the most that a fault lasts.
type times struct{ least, most time.Duration }

// replicaFaults, planeFaults, rightsFaults and tenantFaults are the decks. Each fault is dealt once before one is dealt again.
//
// A control plane that is away for longer than --fence-after, all replicas alike, would have all of them refuse calls, as they
// are told to: no outage of the whole comes near it. One replica's may pass it.
var (
	replicaFaults = map[Fault]times{
		Kill: {}, KillLeader: {}, RestartInPlace: {}, Evict: {}, Upgrade: {}, Corrupt: {},
		Freeze:  {2 * time.Second, 8 * time.Second},
		Cut:     {4 * time.Second, 12 * time.Second},
		Silence: {4 * time.Second, 12 * time.Second},
		Scale:   {2 * time.Second, 5 * time.Second}, RestartAlone: {9 * time.Second, 14 * time.Second},
		CorruptAlone: {6 * time.Second, 10 * time.Second}, FillDisk: {3 * time.Second, 6 * time.Second},
	}
	planeFaults = map[Fault]times{
		StopAPIServer: {2 * time.Second, 10 * time.Second}, KillAPIServer: {0, 3 * time.Second},
		StopEtcd: {2 * time.Second, 10 * time.Second}, KillEtcd: {0, 5 * time.Second},
		Slow: {4 * time.Second, 8 * time.Second}, SlowAll: {4 * time.Second, 8 * time.Second},
	}
	// A replica without a proof of its rules is fenced after 30 s: rights are away for longer.
	rightsFaults = map[Fault]times{TakeRights: {LongestProof + 5*time.Second, LongestProof + 8*time.Second}}
	tenantFaults = map[Fault]times{DeleteNamespace: {4 * time.Second, 8 * time.Second}, Flood: {4 * time.Second, 8 * time.Second}}
	// longFaults join the deck after the first round: a short run has no time for them.
	longFaults = map[Fault]times{
		Roll: {}, Freeze: {15 * time.Second, 50 * time.Second},
		FreezeNode: {10 * time.Second, 45 * time.Second}, // after 50 s a node counts as gone
		Cut:        {15 * time.Second, LongestCut}, Silence: {15 * time.Second, LongestCut},
	}
)

// Answered returns the faults at which a replica answers or refuses connections, and never keeps a caller waiting: a proxy without
// health checks can carry those and no others.
func Answered() []Fault {
	var faults []Fault
	for _, deck := range []map[Fault]times{replicaFaults, planeFaults, rightsFaults, tenantFaults, longFaults} {
		for fault := range deck {
			if fault != Freeze && fault != FreezeNode && !slices.Contains(faults, fault) {
				faults = append(faults, fault)
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// LongestCut is how long a replica is without the API server at most, by any fault of its own.
const LongestCut = time.Minute

// LongestProof is for how long a replica that is fenced goes without a proof of its rules at most.
const LongestProof = 30 * time.Second

// The times of rest before a fault.
var (
	replicaRest = times{500 * time.Millisecond, 3 * time.Second}
	planeRest   = times{5 * time.Second, 12 * time.Second}
	tenantRest  = times{2 * time.Second, 6 * time.Second}
)

// Replicas returns the faults of replicas, without end. If only is not empty, there are no others.
func Replicas(seed uint64, only ...Fault) iter.Seq[Step] {
	return deal(seed, 1, replicaFaults, longFaults, replicaRest, only)
}

// Plane returns the faults of the control plane, without end, in the same way.
func Plane(seed uint64, only ...Fault) iter.Seq[Step] {
	return deal(seed, 2, planeFaults, nil, planeRest, only)
}

// Rights returns the faults of a tenant's rights, without end, in the same way.
func Rights(seed uint64, only ...Fault) iter.Seq[Step] {
	return deal(seed, 4, rightsFaults, nil, tenantRest, only)
}

// Tenants returns the other faults of a tenant, without end, in the same way.
func Tenants(seed uint64, only ...Fault) iter.Seq[Step] {
	return deal(seed, 5, tenantFaults, nil, tenantRest, only)
}

// Always returns the faults that a run of two minutes makes, each.
func Always() []Fault {
	return slices.Concat(slices.Sorted(maps.Keys(rightsFaults)), slices.Sorted(maps.Keys(tenantFaults)), []Fault{Slow, SlowAll})
}

func deal(seed, lane uint64, faults, later map[Fault]times, rest times, only []Fault) iter.Seq[Step] {
	type card struct {
		fault Fault
		times times
	}
	deck := func(of map[Fault]times) []card {
		var cards []card
		for fault, times := range of {
			if len(only) == 0 || slices.Contains(only, fault) {
				cards = append(cards, card{fault, times})
			}
		}
		slices.SortFunc(cards, func(a, b card) int { return compare(a.fault, b.fault) })
		return cards
	}
	return func(yield func(Step) bool) {
		chance := rand.New(rand.NewPCG(seed, lane))
		if len(deck(faults))+len(deck(later)) == 0 {
			return
		}
		for cards := deck(faults); ; cards = slices.Concat(deck(faults), deck(later)) {
			chance.Shuffle(len(cards), func(i, j int) { cards[i], cards[j] = cards[j], cards[i] })
			for _, card := range cards {
				step := Step{
					Fault: card.fault, Target: chance.IntN(1 << 16), Flavour: chance.IntN(1 << 16),
					Lasts: between(chance, card.times), Rest: between(chance, rest),
				}
				if !yield(step) {
					return
				}
			}
		}
	}
}

func compare(a, b Fault) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func between(chance *rand.Rand, t times) time.Duration {
	span := t.most - t.least
	if span == 0 {
		return t.least
	}
	return t.least + time.Duration(chance.Int64N(int64(span))).Round(time.Millisecond)
}
