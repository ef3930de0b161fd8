package freshness

import (
	"context"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Limits of comparisons. A comparison lists the objects of a watch. If the informer's store has the same objects, the
// watch has reached the resourceVersion of the list.
const (
	// compareInterval is the shortest time between two comparisons of one watch. All calls of Advance and AdvanceTo
	// within this time share one comparison.
	compareInterval = time.Second
	// compareTimeout is the time limit of one comparison.
	compareTimeout = 5 * time.Second
	// maxComparisons is the maximum number of concurrent comparisons. If each takes a second, the two hundred watches
	// of a hundred namespaces take seven seconds.
	maxComparisons = 32
)

// ListFunc lists the metadata of all objects of a kind in a namespace, from the newest state of etcd.
type ListFunc func(ctx context.Context, namespace string, kind Kind) (*metav1.PartialObjectMetadataList, error)

// Advancer helps the watches of a replica to reach a wanted resourceVersion soon. One wanted version is that of the
// Lease with the replica's last report (package replica). Each write to etcd raises the resourceVersion, so watches
// that have reached it have received all changes from before the report. This shows that the replica's rules are
// current.
//
// Without events, a watch reaches a later version only with the next bookmark, up to a minute later. The Advancer
// instead compares the watch with a list: it lists the metadata of the objects. If the informer's store has the same
// versions of the same objects, the watch has reached the resourceVersion of the list.
//
// All methods may be called concurrently.
type Advancer struct {
	tracker *Tracker
	list    ListFunc
	wake    chan struct{}

	mu sync.Mutex
	// wanted maps a namespace to the highest version of all calls of Advance. wantedOfAll is the version of the most
	// recent call of AdvanceTo, even if an earlier call had a higher one.
	wanted      map[string]string
	wantedOfAll string
	// comparing are the watches that are being compared with a list, and lastCompared is when the last comparison of
	// each watch began.
	comparing    map[watchID]bool
	lastCompared map[watchID]time.Time
}

// NewAdvancer returns an advancer of the tracker's watches. It does nothing before Start.
func NewAdvancer(tracker *Tracker, list ListFunc) *Advancer {
	return &Advancer{
		tracker: tracker, list: list, wake: make(chan struct{}, 1),
		wanted: map[string]string{}, comparing: map[watchID]bool{}, lastCompared: map[watchID]time.Time{},
	}
}

// AdvanceTo asks that all readable namespaces soon reach a resourceVersion. It replaces the version of the previous
// call, even by an older one.
func (a *Advancer) AdvanceTo(version string) {
	a.mu.Lock()
	a.wantedOfAll = version
	a.mu.Unlock()
	a.notify()
}

// Advance asks that one namespace soon reach a resourceVersion. It ignores a version older than that of an earlier
// call.
func (a *Advancer) Advance(namespace, version string) {
	a.mu.Lock()
	// After an etcd restore, new versions may be lower than a wanted version from before. They are ignored until the
	// method compare removes that wanted version.
	later := Older(a.wanted[namespace], version)
	if later {
		a.wanted[namespace] = version
	}
	a.mu.Unlock()
	if later {
		a.notify()
	}
}

// Wants reports whether Advance or AdvanceTo was called for the namespace with a version later than synced.
func (a *Advancer) Wants(namespace, synced string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Older(synced, a.wanted[namespace]) || Older(synced, a.wantedOfAll)
}

func (a *Advancer) notify() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Start compares watches with lists until ctx ends, and returns nil.
func (a *Advancer) Start(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for ctx.Err() == nil {
		due, wait := a.due()
		for _, id := range due {
			running.Go(func() {
				a.compare(ctx, id)
				a.notify()
			})
		}
		var timer <-chan time.Time // nil blocks for ever
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-timer:
		}
	}
	return nil
}

// NeedLeaderElection returns false: every replica advances its own watches.
func (*Advancer) NeedLeaderElection() bool { return false }

// due returns the watches to compare now and marks them as being compared. wait is the time after which Start must call
// due again, even if neither a new wanted version nor the end of a comparison has woken it; 0 means no such time.
func (a *Advancer) due() (due []watchID, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	behind, unlisted := a.tracker.behind(a.wanted, a.wantedOfAll)
	if unlisted && (a.wantedOfAll != "" || len(a.wanted) > 0) {
		wait = compareInterval // a first list completes without waking Start, and may be older than the wanted version
	}
	// Least recently compared first. Otherwise a namespace whose wanted version keeps rising could use all comparisons.
	slices.SortFunc(behind, func(x, y waitingWatch) int { return a.lastCompared[x.watchID].Compare(a.lastCompared[y.watchID]) })
	for _, id := range behind {
		if a.comparing[id.watchID] {
			continue
		}
		interval := compareInterval
		if id.faulty {
			interval = refusedIntervalMax
		}
		if remaining := interval - now.Sub(a.lastCompared[id.watchID]); remaining > 0 {
			if wait == 0 || remaining < wait {
				wait = remaining
			}
			continue
		}
		if len(a.comparing) == maxComparisons {
			break // when a comparison ends, the method Start looks for due watches again
		}
		a.comparing[id.watchID] = true
		a.lastCompared[id.watchID] = now
		due = append(due, id.watchID)
	}
	return due, wait
}

// compare lists the objects of a watch and compares them with the informer's store. It also removes wanted versions
// that can never be reached.
func (a *Advancer) compare(ctx context.Context, id watchID) {
	a.mu.Lock()
	wantedOfAll, wanted := a.wantedOfAll, a.wanted[id.namespace]
	a.mu.Unlock()
	listing, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	list, err := a.list(listing, id.namespace, id.kind)
	if err == nil {
		a.tracker.compare(id, list)
	} else if isRefusal(err) {
		a.tracker.mu.Lock()
		w := a.tracker.watches[id]
		a.tracker.mu.Unlock()
		a.tracker.setFault(w, describe(err, id))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.comparing, id)
	if err != nil {
		return
	}
	// Remove a wanted version that is later than the list: it is from before an etcd restore, and no watch would reach
	// it. Keep a version that was set after the list was requested: it may be later than the list without a restore.
	if Older(list.ResourceVersion, wantedOfAll) && a.wantedOfAll == wantedOfAll {
		a.wantedOfAll = ""
	}
	if Older(list.ResourceVersion, wanted) && a.wanted[id.namespace] == wanted {
		delete(a.wanted, id.namespace)
	}
}

// waitingWatch is a watch to compare with a list.
type waitingWatch struct {
	watchID

	faulty bool // its objects cannot be read
}

// behind returns the watches that have not reached wantedOfAll or the wanted version of their namespace. It also
// returns every watch whose objects cannot be read: the Advancer's next lists show when they can be read again. It
// leaves out watches without a first list; unlisted reports whether there are any.
func (t *Tracker) behind(wanted map[string]string, wantedOfAll string) (behind []waitingWatch, unlisted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, w := range t.watches {
		version := w.syncedVersion()
		if version == "" {
			unlisted = true
			continue
		}
		if w.fault.err != nil || Older(version, wantedOfAll) || Older(version, wanted[id.namespace]) {
			behind = append(behind, waitingWatch{id, w.fault.err != nil})
		}
	}
	return behind, unlisted
}
