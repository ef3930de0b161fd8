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

// Kind is what a watch is of.
type Kind string

const (
	// Policies are RegistrationPolicy objects.
	Policies Kind = "policies"
	// Lists are ConfigMaps with the label of a list.
	Lists Kind = "lists"
	// contents are what is read of objects that the watches name. It has no watch.
	contents Kind = "contents"
)

// Tracker follows the watches of a set of namespaces, each namespace by itself. All methods may be called at the same time.
type Tracker struct {
	logger        logr.Logger
	metrics       *metrics
	watchdogLimit time.Duration

	mu      sync.Mutex
	watches map[watchID]*trackedWatch
	// contents are the faults of reading what the watches name, by namespace.
	contents map[string]fault
	// onChange is called when a namespace has come forward without an object that changed, or when it can no longer be read, or
	// again.
	onChange func(namespace string)
}

// watchID names a watch: one kind in one namespace.
type watchID struct {
	namespace string
	kind      Kind
}

// trackedWatch is what is known of one watch.
type trackedWatch struct {
	id    watchID
	store toolscache.Store // nil until there is an informer
	// proof is when the API server was last known to send what there is; zero while it never was.
	proof time.Time
	// relisted says that no watch has begun since the last list.
	relisted bool
	// givenUp: the last watch was stopped by the watchdog. After an etcd restore it may have waited for a version that no longer
	// exists.
	givenUp bool
	// compared is a resourceVersion at which the API server was seen to have the same objects as the store; "" while there is none.
	compared string
	// synced is the store's own when it was last asked. Where versions go back, as after an etcd restore, compared says nothing.
	synced string
	// fault is why the API server does not let this be read; zero while it does.
	fault fault
}

// fault is why something cannot be read, and since when.
type fault struct {
	err   error
	since time.Time
}

// begin notes why, and says whether there was no fault before.
func (f *fault) begin(err error) bool {
	begins := f.err == nil
	if begins {
		f.since = time.Now()
	}
	f.err = err
	return begins
}

// end ends a fault, and says whether there was one.
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

// OnChange sets what is called when a namespace has come forward without an object that changed, and when it can no longer be
// read, or again. It is called before the first informer is made, and must not block.
func (t *Tracker) OnChange(f func(namespace string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onChange = f
}

// SetWatchdogLimit sets how long nothing may come by a watch before it is stopped for a new one. It is called before the first
// informer is made.
func (t *Tracker) SetWatchdogLimit(limit time.Duration) { t.watchdogLimit = limit }

// Namespaces returns the namespaces, sorted.
func (t *Tracker) Namespaces() []string {
	var namespaces []string
	for id := range t.watches { // the keys never change
		if id.kind == Policies {
			namespaces = append(namespaces, id.namespace)
		}
	}
	slices.Sort(namespaces)
	return namespaces
}

// State is what is known of a namespace.
type State struct {
	// Synced is the resourceVersion up to which all of its watches reflect what the API server has; "" until each has its first list.
	Synced string
	// Proven is when the watch that has been silent for longest was last known to be alive; zero if some watch never was.
	Proven time.Time
	// Fault is why the namespace cannot be read, for people; nil while it can.
	Fault error
	// FaultSince is when that began.
	FaultSince time.Time
}

// State returns what is known of a namespace.
func (t *Tracker) State(namespace string) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state(namespace)
}

func (t *Tracker) state(namespace string) State {
	policies, lists := t.watches[watchID{namespace, Policies}], t.watches[watchID{namespace, Lists}]
	state := State{Synced: policies.position(), Proven: policies.proof}
	if position := lists.position(); position == "" || Older(position, state.Synced) {
		state.Synced = position
	}
	if lists.proof.Before(state.Proven) {
		state.Proven = lists.proof
	}
	for _, fault := range []fault{policies.fault, lists.fault, t.contents[namespace]} {
		if fault.err != nil && (state.Fault == nil || fault.since.Before(state.FaultSince)) {
			state.Fault, state.FaultSince = fault.err, fault.since
		}
	}
	return state
}

// Proven returns when the watch that has been silent for longest was last known to be alive, among the namespaces that can be read;
// where none can be, among all. It is zero if one of these never was.
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

// position returns what the store has reached by its own watch or by comparison.
func (w *trackedWatch) position() string {
	if w.store == nil {
		return ""
	}
	position := w.store.LastStoreSyncResourceVersion()
	if Older(position, w.synced) {
		w.compared = ""
	}
	w.synced = position
	if position != "" && Older(position, w.compared) {
		return w.compared
	}
	return position
}

// compare holds the objects that an API server had at a version against the store of a watch. Where they are the same, the store
// has reached that version, although no event said so.
func (t *Tracker) compare(id watchID, list *metav1.PartialObjectMetadataList) (same bool) {
	t.mu.Lock()
	w := t.watches[id]
	same = w.store != nil && w.sameAs(list)
	recovered := false
	if same { // otherwise its informer has yet to bring what it missed
		recovered = w.fault.end()
		w.compared = list.ResourceVersion
		w.proof = time.Now()
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

func (w *trackedWatch) sameAs(list *metav1.PartialObjectMetadataList) bool {
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

// objectVersion tells one stored version of an object from all others.
type objectVersion struct{ uid, resourceVersion string }

func versionOf(object metav1.Object) objectVersion {
	return objectVersion{string(object.GetUID()), object.GetResourceVersion()}
}

// prove notes that the API server sends what there is.
func (t *Tracker) prove(w *trackedWatch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.proof = time.Now()
}

// listCompleted notes a list, watchStarted a watch: both are answers to a request that the API server has just allowed.
func (t *Tracker) listCompleted(w *trackedWatch) {
	t.allowed(w, func() {
		w.relisted, w.givenUp = true, false
		w.proof = time.Now()
	})
}

func (t *Tracker) watchStarted(w *trackedWatch, streamed bool) {
	t.allowed(w, func() {
		w.relisted = false
		w.givenUp = w.givenUp && !streamed
		w.proof = time.Now()
	})
}

func (t *Tracker) allowed(w *trackedWatch, note func()) {
	t.mu.Lock()
	note()
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

// refused notes that the API server answers, and does not let this be read.
func (t *Tracker) refused(w *trackedWatch, err error) {
	t.mu.Lock()
	begins := w.fault.begin(err)
	t.mu.Unlock()
	if begins {
		t.begun(w.id, err)
	}
}

// begun tells of a fault that begins.
func (t *Tracker) begun(id watchID, err error) {
	t.mu.Lock()
	onChange := t.onChange
	t.mu.Unlock()
	t.logger.Error(err, "Namespace cannot be read; its last known rules stay in force", "namespace", id.namespace, "kind", string(id.kind))
	onChange(id.namespace)
}

// SetContents notes whether the objects that the watches of a namespace name could be read: nil, or why not. Until they can, the namespace
// is treated as unreadable. Otherwise its watches would look current while its rules are not, and all other namespaces would wait.
func (t *Tracker) SetContents(namespace string, err error) {
	id := watchID{namespace, contents}
	t.mu.Lock()
	of := t.contents[namespace]
	changed := err != nil && of.begin(err) || err == nil && of.end()
	t.contents[namespace] = of
	onChange := t.onChange
	t.mu.Unlock()
	switch {
	case changed && err != nil:
		t.begun(id, err)
	case changed:
		t.logRecovered(id)
		onChange(namespace)
	}
}

// mayStart reports whether a watch may begin where another has ended, without a list between. One of policies may not: where their
// CustomResourceDefinition changes, the open watches go on for a moment by the earlier one, and end. What they bring then lacks
// the fields that are new, and nothing would bring it again. Nor may one that the watchdog stopped. streamed says that the watch
// begins with a list.
func (t *Tracker) mayStart(w *trackedWatch, streamed bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return streamed || w.relisted || w.id.kind != Policies && !w.givenUp
}

func (t *Tracker) watchdogFired(w *trackedWatch) {
	t.metrics.restarts.Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	w.givenUp = true
}
