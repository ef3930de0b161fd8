package freshness

import (
	"context"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// compareInterval is the shortest time between two comparisons of one watch with a list. A burst of changes shares a
	// comparison.
	compareInterval = time.Second
	// compareTimeout is the time limit of one comparison.
	compareTimeout = 5 * time.Second
	// maxComparisons is how many comparisons run at the same time: if an answer takes a second, a hundred namespaces,
	// with two watches each, take seven.
	maxComparisons = 32
)

// ListFunc returns the metadata of all objects of a kind in a namespace, from the newest state of etcd.
type ListFunc func(ctx context.Context, namespace string, kind Kind) (*metav1.PartialObjectMetadataList, error)

// Advancer makes watches without events reach a wanted resourceVersion soon. Such a watch learns of a later version only
// from the next bookmark, up to a minute later. The Advancer instead lists the names and versions of the objects. If the
// store of the watch has the same objects, the watch has reached the resourceVersion of the list. All methods may be
// called concurrently.
type Advancer struct {
	tracker *Tracker
	list    ListFunc
	wake    chan struct{}

	mu sync.Mutex
	// wanted are the versions given to Advance, by namespace, and wantedOfAll is the version given to AdvanceTo, which
	// all readable namespaces must reach.
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

// AdvanceTo asks that all readable namespaces soon reach a resourceVersion.
func (a *Advancer) AdvanceTo(version string) {
	a.mu.Lock()
	a.wantedOfAll = version
	a.mu.Unlock()
	a.notify()
}

// Advance asks that one namespace soon reach a resourceVersion.
func (a *Advancer) Advance(namespace, version string) {
	a.mu.Lock()
	// After a restore of etcd, versions begin again at a lower number, so that a wanted version from before the restore may
	// never be reached. The method compare removes such a version.
	later := Older(a.wanted[namespace], version)
	if later {
		a.wanted[namespace] = version
	}
	a.mu.Unlock()
	if later {
		a.notify()
	}
}

// Wants reports whether somebody waits for a version of the namespace later than synced.
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
		var timer <-chan time.Time // nil: no comparison becomes due by time
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

// due returns the watches to compare now and marks them as being compared. wait is when to call it again; 0 means after
// the next call of AdvanceTo or Advance, or the end of a comparison.
func (a *Advancer) due() (due []watchID, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	behind, unlisted := a.tracker.behind(a.wanted, a.wantedOfAll)
	if unlisted && (a.wantedOfAll != "" || len(a.wanted) > 0) {
		wait = compareInterval // the first list, once complete, may be older than the wanted version
	}
	// Least recently compared first. Otherwise a namespace whose wanted version keeps rising would starve the others.
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
			break // Start calls due again when a comparison ends
		}
		a.comparing[id.watchID] = true
		a.lastCompared[id.watchID] = now
		due = append(due, id.watchID)
	}
	return due, wait
}

// compare lists the objects of a watch and compares them with its store.
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
	// A wanted version newer than the API server's is from before an etcd restore, and is never reached.
	if Older(list.ResourceVersion, wantedOfAll) && a.wantedOfAll == wantedOfAll {
		a.wantedOfAll = ""
	}
	if Older(list.ResourceVersion, wanted) && a.wanted[id.namespace] == wanted {
		delete(a.wanted, id.namespace)
	}
}

// waitingWatch is a watch that has its first list and has not reached the wanted version.
type waitingWatch struct {
	watchID

	faulty bool // the API server does not let it be read
}

// behind returns the watches that have not reached the version wanted for their namespace, or the one wanted for all. It
// includes every watch that the API server does not let be read: by listing it, the Advancer learns when it is readable
// again. unlisted reports whether some watch has no first list yet.
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
