package freshness

import (
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

// Kind is the kind of the objects that a watch delivers.
type Kind string

const (
	// Policies are RegistrationPolicy objects.
	Policies Kind = "policies"
	// Lists are the ConfigMaps with the label that marks lists of domains and addresses.
	Lists Kind = "lists"
	// contents are the objects that are read one by one, because a watch has sent only their metadata (ConfigMaps) or
	// their spec is not cached (policies). This kind has no watch; it is only used in log lines.
	contents Kind = "contents"
)

// Tracker records the state of each watch in a set of namespaces: up to which resourceVersion it is current, when it
// was last known to be alive, and why its objects cannot be read. All methods may be called concurrently.
type Tracker struct {
	logger        logr.Logger
	metrics       *metrics
	watchdogLimit time.Duration

	mu      sync.Mutex
	watches map[watchID]*trackedWatch
	// contents maps a namespace to the fault that SetContentsFault has set.
	contents map[string]fault
	onChange func(namespace string)
}

// watchID identifies a watch: one kind in one namespace.
type watchID struct {
	namespace string
	kind      Kind
}

// trackedWatch is the state of one watch.
type trackedWatch struct {
	id    watchID
	store toolscache.Store // of the informer; nil before NewInformer
	// provenAt is when the API server last sent something, or a comparison with a list showed that the watch is
	// current; zero: never.
	provenAt time.Time
	// freshList: no watch has started since the last complete list. The next watch thus continues from that list; see
	// mayStart.
	freshList bool
	// givenUp: the watchdog stopped the last watch, and no list has followed. After an etcd restore that watch may
	// have waited for a version that no longer exists.
	givenUp bool
	// comparedVersion is the resourceVersion of the Advancer's last list that had the same objects as the store; "" if
	// there was none.
	comparedVersion string
	// storeVersion is the resourceVersion of the store when syncedVersion last read it. If the store's version is lower
	// the next time, etcd was restored, and comparedVersion is reset.
	storeVersion string
	// fault is why the objects cannot be read; zero while they can.
	fault fault
}

// fault is why objects cannot be read, and since when. The zero value means that they can be read.
type fault struct {
	err   error
	since time.Time
}

// begin sets the error, and reports whether there was none before.
func (f *fault) begin(err error) bool {
	begins := f.err == nil
	if begins {
		f.since = time.Now()
	}
	f.err = err
	return begins
}

// end clears the fault, and reports whether there was one.
func (f *fault) end() bool {
	had := f.err != nil
	*f = fault{}
	return had
}

// New returns a tracker for these namespaces. It registers its metrics, and panics if they are registered already.
func New(registerer prometheus.Registerer, namespaces []string, logger logr.Logger) *Tracker {
	t := &Tracker{
		logger: logger, watchdogLimit: watchdogLimit, watches: map[watchID]*trackedWatch{}, contents: map[string]fault{},
		onChange: func(string) {},
	}
	for _, namespace := range namespaces {
		for _, kind := range []Kind{Policies, Lists} {
			id := watchID{namespace, kind}
			t.watches[id] = &trackedWatch{id: id}
		}
	}
	t.metrics = newMetrics(registerer, t)
	return t
}

// OnChange sets a function that is called when the Advancer has found a watch of a namespace current, and when the
// namespace becomes unreadable or readable again. The function must not block. Call OnChange before the first
// NewInformer.
func (t *Tracker) OnChange(f func(namespace string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onChange = f
}

// SetWatchdogLimit replaces the default time after which a watch that receives nothing is stopped. Call it before the
// first NewInformer.
func (t *Tracker) SetWatchdogLimit(limit time.Duration) { t.watchdogLimit = limit }

// Namespaces returns the namespaces, sorted.
func (t *Tracker) Namespaces() []string {
	var namespaces []string
	for id := range t.watches { // needs no lock, since New sets the keys
		if id.kind == Policies {
			namespaces = append(namespaces, id.namespace)
		}
	}
	slices.Sort(namespaces)
	return namespaces
}

// State says how current a namespace is, and whether it can be read.
type State struct {
	// Synced is the resourceVersion up to which both watches of the namespace are current; "" until both have their
	// first list.
	Synced string
	// Proven is the time up to which both watches are known to have been alive; zero if one of them never was.
	Proven time.Time
	// Fault is why the namespace cannot be read, for people; nil while it can be read.
	Fault error
	// FaultSince is when Fault began.
	FaultSince time.Time
}

// State returns the state of a namespace.
func (t *Tracker) State(namespace string) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state(namespace)
}

func (t *Tracker) state(namespace string) State {
	policies, lists := t.watches[watchID{namespace, Policies}], t.watches[watchID{namespace, Lists}]
	state := State{Synced: policies.syncedVersion(), Proven: policies.provenAt}
	if version := lists.syncedVersion(); version == "" || Older(version, state.Synced) {
		state.Synced = version
	}
	if lists.provenAt.Before(state.Proven) {
		state.Proven = lists.provenAt
	}
	for _, fault := range []fault{policies.fault, lists.fault, t.contents[namespace]} {
		if fault.err != nil && (state.Fault == nil || fault.since.Before(state.FaultSince)) {
			state.Fault, state.FaultSince = fault.err, fault.since
		}
	}
	return state
}

// Proven returns the earliest State.Proven of the readable namespaces, or of all namespaces if none is readable. It is
// zero if some watch of these was never known to be alive.
func (t *Tracker) Proven() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var readable, all []time.Time
	for id := range t.watches {
		if id.kind != Policies {
			continue
		}
		state := t.state(id.namespace)
		all = append(all, state.Proven)
		if state.Fault == nil {
			readable = append(readable, state.Proven)
		}
	}
	if len(readable) == 0 {
		readable = all
	}
	if len(readable) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(readable, time.Time.Compare)
}

// syncedVersion returns the resourceVersion that the store has reached. The watch may have delivered it, or a comparison
// with a list may have shown a later one. The caller must hold Tracker.mu.
func (w *trackedWatch) syncedVersion() string {
	if w.store == nil {
		return ""
	}
	version := w.store.LastStoreSyncResourceVersion()
	if Older(version, w.storeVersion) {
		w.comparedVersion = ""
	}
	w.storeVersion = version
	if version != "" && Older(version, w.comparedVersion) {
		return w.comparedVersion
	}
	return version
}

// compare compares a list with the store of a watch. If both have the same objects, it records that the store has
// reached the version of the list, and ends a fault.
func (t *Tracker) compare(id watchID, list *metav1.PartialObjectMetadataList) (same bool) {
	t.mu.Lock()
	w := t.watches[id]
	same = w.store != nil && w.storeEquals(list)
	recovered := false
	if same { // if not, the watch has not sent all changes yet
		recovered = w.fault.end()
		w.comparedVersion = list.ResourceVersion
		w.provenAt = time.Now()
	}
	onChange := t.onChange
	t.mu.Unlock()
	if recovered {
		t.logRecovered(id)
	}
	if same {
		onChange(id.namespace)
	}
	return same
}

// storeEquals reports whether the list and the store have the same objects in the same versions.
func (w *trackedWatch) storeEquals(list *metav1.PartialObjectMetadataList) bool {
	have := w.store.List()
	if len(have) != len(list.Items) {
		return false
	}
	versions := make(map[string]objectVersion, len(list.Items))
	for i := range list.Items {
		versions[list.Items[i].GetName()] = versionOf(&list.Items[i])
	}
	for _, object := range have {
		accessor, ok := object.(metav1.Object)
		if !ok || versions[accessor.GetName()] != versionOf(accessor) {
			return false
		}
	}
	return true
}

// objectVersion identifies an object in one version.
type objectVersion struct{ uid, resourceVersion string }

func versionOf(object metav1.Object) objectVersion {
	return objectVersion{string(object.GetUID()), object.GetResourceVersion()}
}

// markProven records that the watch is alive.
func (t *Tracker) markProven(w *trackedWatch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.provenAt = time.Now()
}

// listCompleted records that the informer has received a complete list. That ends a fault.
func (t *Tracker) listCompleted(w *trackedWatch) {
	t.clearFault(w, func() {
		w.freshList, w.givenUp = true, false
		w.provenAt = time.Now()
	})
}

// watchStarted records that a watch has started. That ends a fault. streamed: the watch begins with a list.
func (t *Tracker) watchStarted(w *trackedWatch, streamed bool) {
	t.clearFault(w, func() {
		w.freshList = false
		w.givenUp = w.givenUp && !streamed
		w.provenAt = time.Now()
	})
}

// clearFault calls update under the lock and ends the fault of a watch. If there was a fault, it logs the recovery and
// calls onChange.
func (t *Tracker) clearFault(w *trackedWatch, update func()) {
	t.mu.Lock()
	update()
	recovered, onChange := w.fault.end(), t.onChange
	t.mu.Unlock()
	if recovered {
		t.logRecovered(w.id)
		onChange(w.id.namespace)
	}
}

func (t *Tracker) logRecovered(id watchID) {
	t.logger.Info("Namespace can be read again", "namespace", id.namespace, "kind", string(id.kind))
}

// setFault records why the objects of a watch cannot be read. It logs the first error since they could be read.
func (t *Tracker) setFault(w *trackedWatch, err error) {
	t.mu.Lock()
	begins := w.fault.begin(err)
	t.mu.Unlock()
	if begins {
		t.faultBegan(w.id, err)
	}
}

// faultBegan logs a new fault and calls onChange.
func (t *Tracker) faultBegan(id watchID, err error) {
	t.mu.Lock()
	onChange := t.onChange
	t.mu.Unlock()
	t.logger.Error(err, "Namespace cannot be read; its last known rules stay in force", "namespace", id.namespace, "kind", string(id.kind))
	onChange(id.namespace)
}

// SetContentsFault records why single objects of a namespace cannot be read although its watches work; nil if they can
// be read. With an error, the namespace counts as unreadable.
//
// Otherwise one such namespace would hold up the whole replica: package replica confirms a report only if the rules of
// all readable namespaces have reached its version, which those of this namespace cannot.
func (t *Tracker) SetContentsFault(namespace string, err error) {
	id := watchID{namespace, contents}
	t.mu.Lock()
	f := t.contents[namespace]
	changed := err != nil && f.begin(err) || err == nil && f.end()
	t.contents[namespace] = f
	onChange := t.onChange
	t.mu.Unlock()
	switch {
	case changed && err != nil:
		t.faultBegan(id, err)
	case changed:
		t.logRecovered(id)
		onChange(namespace)
	}
}

// mayStart reports whether a new watch may start now, or the informer must list first. A watch may always start
// directly after a list, or if it begins with a list itself (streamed). Any other watch continues from the last version
// of the previous watch, and must not do so in two cases:
//   - It watches policies. After a change of the CustomResourceDefinition, the previous watch may have sent objects
//     without the new fields. The new watch would not send these objects again.
//   - The watchdog stopped the previous watch. After an etcd restore its last version may no longer exist.
func (t *Tracker) mayStart(w *trackedWatch, streamed bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return streamed || w.freshList || w.id.kind != Policies && !w.givenUp
}

// watchdogFired records that the watchdog stops a watch.
func (t *Tracker) watchdogFired(w *trackedWatch) {
	t.metrics.restarts.Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	w.givenUp = true
}
