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

// Kind is the kind of objects that a watch observes.
type Kind string

const (
	// Policies are RegistrationPolicy objects.
	Policies Kind = "policies"
	// Lists are ConfigMaps with the label of those that hold lists of domains and addresses.
	Lists Kind = "lists"
	// contents are single objects that are read after a watch has sent their names: a ConfigMap, or a policy whose spec
	// is not cached. This kind has no watch of its own. It stands in log lines.
	contents Kind = "contents"
)

// Tracker follows the watches of a set of namespaces, independently for each namespace. All methods may be called
// concurrently.
type Tracker struct {
	logger        logr.Logger
	metrics       *metrics
	watchdogLimit time.Duration

	mu      sync.Mutex
	watches map[watchID]*trackedWatch
	// contents are the faults that SetContentsFault has set, by namespace.
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
	// provenAt is when the watch was last known to be alive; zero: never.
	provenAt time.Time
	// freshList: no watch has started since the last complete list, so a watch may start from the version of that list.
	freshList bool
	// givenUp: the watchdog stopped the last watch. After an etcd restore that watch may have waited for a version that
	// no longer exists.
	givenUp bool
	// comparedVersion is the resourceVersion of the last list of the Advancer that had the same objects as the store; ""
	// if there was none.
	comparedVersion string
	// storeVersion is the last known resourceVersion of the store. If it goes back, as after an etcd restore,
	// comparedVersion is reset.
	storeVersion string
	// fault is why the API server does not let the objects be read; zero while it does.
	fault fault
}

// fault is why objects cannot be read, and since when. The zero value means that they can.
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

// New returns a tracker of these namespaces. It registers its metrics, and panics if they are registered already.
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

// OnChange sets a function that is called when a namespace reaches a later version without a changed object, and when
// it becomes unreadable or readable again. The function must not block. Call OnChange before the first NewInformer.
func (t *Tracker) OnChange(f func(namespace string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onChange = f
}

// SetWatchdogLimit sets how long a watch may receive nothing before it is replaced. Call it before the first
// NewInformer.
func (t *Tracker) SetWatchdogLimit(limit time.Duration) { t.watchdogLimit = limit }

// Namespaces returns the namespaces, sorted.
func (t *Tracker) Namespaces() []string {
	var namespaces []string
	for id := range t.watches { // without the lock, since the keys never change
		if id.kind == Policies {
			namespaces = append(namespaces, id.namespace)
		}
	}
	slices.Sort(namespaces)
	return namespaces
}

// State is the state of a namespace.
type State struct {
	// Synced is the resourceVersion up to which all of its watches are current; "" until each has its first list.
	Synced string
	// Proven is the earliest of the times when each of its watches was last known to be alive; zero if some watch never
	// was.
	Proven time.Time
	// Fault is why the namespace cannot be read, for people; nil while it can.
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

// Proven returns the earliest of the times when each watch was last known to be alive; zero if some watch never was. It
// considers the watches of readable namespaces, or all watches if no namespace is readable.
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

// syncedVersion returns the resourceVersion that the store has reached, by its watch or by a comparison with a list.
// Tracker.mu must be held.
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

// compare compares a list with the store of a watch. If both have the same objects, it records that the store has reached
// the version of the list.
func (t *Tracker) compare(id watchID, list *metav1.PartialObjectMetadataList) (same bool) {
	t.mu.Lock()
	w := t.watches[id]
	same = w.store != nil && w.storeEquals(list)
	recovered := false
	if same { // otherwise the watch has yet to send events
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

// storeEquals reports whether a list has the same versions of the same objects as the store.
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

// objectVersion identifies one stored version of an object.
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

// listCompleted records a complete list. It ends a fault, since the API server has allowed the request.
func (t *Tracker) listCompleted(w *trackedWatch) {
	t.clearFault(w, func() {
		w.freshList, w.givenUp = true, false
		w.provenAt = time.Now()
	})
}

// watchStarted records that a watch has started. streamed: it begins with a list.
func (t *Tracker) watchStarted(w *trackedWatch, streamed bool) {
	t.clearFault(w, func() {
		w.freshList = false
		w.givenUp = w.givenUp && !streamed
		w.provenAt = time.Now()
	})
}

// clearFault updates a watch and ends its fault. If there was one, it logs that and calls onChange.
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

// setFault records why the API server does not let the objects of a watch be read.
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

// SetContentsFault records why single objects cannot be read although the watches of a namespace have sent their names;
// nil if they can be read. A namespace with such a fault counts as unreadable. Otherwise its watches would look current
// while its rules are not, and all other namespaces would wait for it.
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

// mayStart reports whether a new watch may start now. It may directly after a list, or if it begins with a list
// (streamed). Otherwise it would continue from the version of the previous watch:
//   - A watch of policies must not. After a change of the CustomResourceDefinition, an open watch sends objects without
//     the new fields for a moment, and a continued watch does not send these objects again.
//   - No watch may if the watchdog stopped the previous one, whose version may no longer exist after an etcd restore.
func (t *Tracker) mayStart(w *trackedWatch, streamed bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return streamed || w.freshList || w.id.kind != Policies && !w.givenUp
}

// watchdogFired records that the watchdog has stopped a watch.
func (t *Tracker) watchdogFired(w *trackedWatch) {
	t.metrics.restarts.Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	w.givenUp = true
}
