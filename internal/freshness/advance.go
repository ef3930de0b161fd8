package freshness

import (
	"context"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// compareInterval is the least time between two comparisons of one watch: changes that follow each other share one.
	compareInterval = time.Second
	// compareTimeout is the time for one.
	compareTimeout = 5 * time.Second
	// comparesAtOnce bounds the requests that are on their way at the same time: on a line on which an answer takes a second, those
	// for a hundred namespaces take seven.
	comparesAtOnce = 32
)

// ListFunc returns names and versions of all objects of a kind in a namespace, from the newest state of etcd.
type ListFunc func(ctx context.Context, namespace string, kind Kind) (*metav1.PartialObjectMetadataList, error)

// Advancer brings quiet watches forward where somebody waits for a version. A watch by which nothing comes stands where it is until
// the next bookmark, up to a minute later. Instead, what the API server has now is compared with what the watch's store has.
// All methods may be called at the same time.
type Advancer struct {
	tracker *Tracker
	list    ListFunc
	wake    chan struct{}

	mu sync.Mutex
	// wanted are the versions that somebody waits for, by namespace; those of all is what all readable namespaces are to reach.
	wanted map[string]string
	ofAll  string
	// compares are those under way, and when each watch was last compared.
	compares map[watchID]bool
	last     map[watchID]time.Time
}

// NewAdvancer returns an advancer of the tracker's watches. It does nothing until it is started.
func NewAdvancer(tracker *Tracker, list ListFunc) *Advancer {
	return &Advancer{
		tracker: tracker, list: list, wake: make(chan struct{}, 1),
		wanted: map[string]string{}, compares: map[watchID]bool{}, last: map[watchID]time.Time{},
	}
}

// AdvanceTo asks that all namespaces that can be read reach a resourceVersion soon.
func (a *Advancer) AdvanceTo(version string) {
	a.mu.Lock()
	a.ofAll = version
	a.mu.Unlock()
	a.again()
}

// Advance asks that one namespace reach a resourceVersion soon.
func (a *Advancer) Advance(namespace, version string) {
	a.mu.Lock()
	later := Older(a.wanted[namespace], version) // a comparison drops what is of before an etcd restore
	if later {
		a.wanted[namespace] = version
	}
	a.mu.Unlock()
	if later {
		a.again()
	}
}

// Wants reports whether somebody waits for a namespace to come further than a version.
func (a *Advancer) Wants(namespace, synced string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Older(synced, a.wanted[namespace]) || Older(synced, a.ofAll)
}

func (a *Advancer) again() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Start compares until ctx ends. It never fails: where the API server does not answer, positions stay.
func (a *Advancer) Start(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for ctx.Err() == nil {
		due, wait := a.due()
		for _, id := range due {
			running.Go(func() {
				a.compare(ctx, id)
				a.again()
			})
		}
		var timer <-chan time.Time // none where nobody waits
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

// NeedLeaderElection says that every replica does this.
func (*Advancer) NeedLeaderElection() bool { return false }

// due returns the watches to compare now, and notes that they are; and after what time to look again, 0 where only a call of
// AdvanceTo or Advance, or the end of a comparison, makes a difference.
func (a *Advancer) due() (due []watchID, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	behind, unlisted := a.tracker.behind(a.wanted, a.ofAll)
	if unlisted && (a.ofAll != "" || len(a.wanted) > 0) {
		wait = compareInterval // a first list may have begun before the version was asked for
	}
	// The longest ago first: a goal that moves on must not keep the rest from being compared at all.
	slices.SortFunc(behind, func(x, y waitingWatch) int { return a.last[x.watchID].Compare(a.last[y.watchID]) })
	for _, id := range behind {
		if a.compares[id.watchID] {
			continue
		}
		interval := compareInterval
		if id.faulty {
			interval = refusedIntervalMax
		}
		if early := interval - now.Sub(a.last[id.watchID]); early > 0 {
			if wait == 0 || early < wait {
				wait = early
			}
			continue
		}
		if len(a.compares) == comparesAtOnce {
			break // the end of one makes room for the next
		}
		a.compares[id.watchID] = true
		a.last[id.watchID] = now
		due = append(due, id.watchID)
	}
	return due, wait
}

func (a *Advancer) compare(ctx context.Context, id watchID) {
	a.mu.Lock()
	ofAll, wanted := a.ofAll, a.wanted[id.namespace]
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
		a.tracker.refused(w, describe(err, id))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.compares, id)
	if err != nil {
		return
	}
	// What the API server has not come to itself is of before an etcd restore: it never comes.
	if Older(list.ResourceVersion, ofAll) && a.ofAll == ofAll {
		a.ofAll = ""
	}
	if Older(list.ResourceVersion, wanted) && a.wanted[id.namespace] == wanted {
		delete(a.wanted, id.namespace)
	}
}

// waitingWatch is a watch that has not reached a version, and has its first list.
type waitingWatch struct {
	watchID

	faulty bool
}

// behind returns the watches that have not come to the version that is wanted of their namespace or of all, and those that cannot be
// read: whether they can be again shows by asking. unlisted says that the first list of some watch has not come.
func (t *Tracker) behind(wanted map[string]string, ofAll string) (behind []waitingWatch, unlisted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, w := range t.watches {
		position := w.position()
		if position == "" {
			unlisted = true
			continue
		}
		if w.fault.err != nil || Older(position, ofAll) || Older(position, wanted[id.namespace]) {
			behind = append(behind, waitingWatch{id, w.fault.err != nil})
		}
	}
	return behind, unlisted
}
