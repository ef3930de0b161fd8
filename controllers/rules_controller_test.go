package controllers

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/apiserver"
)

// rulesFixture is a rules controller without a manager, on the policies of one namespace, which it watches.
type rulesFixture struct {
	namespace  string
	watches    *informers.Set
	tracker    *freshness.Tracker
	publisher  *publish.Publisher
	reconciler *RulesReconciler
	store      *rules.Store
	registry   *prometheus.Registry
	log        *transcript
	limits     budget.Limits // of the reconciler; a test may change them between two builds

	mu   sync.Mutex
	seen map[freshness.Kind]map[string]string // versions, by name
}

func newRulesFixture(t *testing.T, config *rest.Config, namespace string) *rulesFixture {
	t.Helper()
	return newBoundFixture(t, config, namespace, nil)
}

// newBoundFixture is newRulesFixture with scopes.
func newBoundFixture(t *testing.T, config *rest.Config, namespace string, scopes policyobject.Scopes) *rulesFixture {
	t.Helper()
	f := &rulesFixture{namespace: namespace, store: &rules.Store{}, registry: prometheus.NewRegistry(), log: &transcript{},
		limits: budget.Limits{}, seen: map[freshness.Kind]map[string]string{},
	}
	logger := loggerTo(f.log)
	metrics := publish.NewMetrics(f.registry)
	f.tracker = freshness.New(f.registry, []string{namespace}, logger)
	var err error
	if f.watches, err = informers.New(config, apiserver.DirectClient(t, config), f.tracker, nil); err != nil {
		t.Fatal(err)
	}
	f.publisher = publish.New(publish.Options{
		Namespaces: []string{namespace}, Bound: scopes.Bound, Store: f.store, Metrics: metrics, Logger: logger,
	})
	f.reconciler, err = NewRulesReconciler(RulesOptions{
		Watches: f.watches, Tracker: f.tracker, Lists: publish.NewLists(metrics), Publisher: f.publisher,
		Limits: f.limits, Metrics: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.watches.OnPolicies(f.follow(freshness.Policies)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.watches.OnLists(f.follow(freshness.Lists)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var watching sync.WaitGroup
	watching.Go(func() { _ = f.watches.Start(ctx) })
	t.Cleanup(func() {
		stop()
		watching.Wait()
	})
	return f
}

// catchUp waits until the watches have brought what the API server has now.
func (f *rulesFixture) catchUp(t *testing.T) {
	t.Helper()
	for _, kind := range []freshness.Kind{freshness.Policies, freshness.Lists} {
		list, err := f.watches.ListMetadata(t.Context(), f.namespace, kind)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, within, func() string {
			if f.tracker.State(f.namespace).Synced == "" {
				return "no first list yet"
			}
			have := f.versions(kind)
			for i := range list.Items {
				if have[list.Items[i].Name] != list.Items[i].ResourceVersion {
					return list.Items[i].Name + " has not come"
				}
			}
			if len(have) != len(list.Items) {
				return fmt.Sprintf("%d %s, want %d", len(have), kind, len(list.Items))
			}
			return ""
		})
	}
}

func (f *rulesFixture) versions(kind freshness.Kind) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.seen[kind])
}

// follow returns a handler that keeps the versions of the objects of a kind.
func (f *rulesFixture) follow(kind freshness.Kind) toolscache.ResourceEventHandler {
	f.seen[kind] = map[string]string{}
	note := func(object any) {
		f.mu.Lock()
		defer f.mu.Unlock()
		accessor, _ := object.(metav1.Object)
		f.seen[kind][accessor.GetName()] = accessor.GetResourceVersion()
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: note, UpdateFunc: func(_, object any) { note(object) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			accessor, _ := object.(metav1.Object)
			delete(f.seen[kind], accessor.GetName())
		},
	}
}

func (f *rulesFixture) reconcile(t *testing.T) {
	t.Helper()
	f.catchUp(t)
	if _, err := f.reconciler.Reconcile(t.Context(), namespaceRequest(f.namespace)); err != nil {
		t.Fatal(err)
	}
}

func (f *rulesFixture) digest(t *testing.T) string {
	t.Helper()
	snapshot, err := f.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Digest()
}

func TestEveryBuildIsOfWhatIsStored(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newRulesFixture(t, cluster.Config, namespace)
	jo, ann := localPart+"@acme.com", localPart+"@beta.example"

	f.reconcile(t)
	wantAnswer(t, f.store, jo, "DENY NoPolicyApplies")

	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}, message: "Ask your host, {id}."}`)
	f.reconcile(t)
	wantAnswer(t, f.store, jo, "ALLOW Allowed")
	wantAnswer(t, f.store, ann, "DENY NotAllowed")

	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}, deny: {domains: [acme.com]}, message: No.}`)
	f.reconcile(t)
	wantAnswer(t, f.store, ann, "ALLOW Allowed")
	snapshot, err := f.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	d := snapshot.Decide(signUp(jo, ""))
	if d.Reason != rules.ReasonDenied || d.Message != "No." || d.Policy.String() != namespace+"/acme" {
		t.Errorf("after the edit: %s by %s with %q, want Denied by %s/acme with \"No.\"",
			d.Reason, d.Policy, d.Message, namespace)
	}

	cluster.Remove(t, namespace, "acme")
	f.reconcile(t)
	wantAnswer(t, f.store, ann, "DENY NoPolicyApplies")
	if n := builds(t, f.registry, buildPublished); n != 4 {
		t.Errorf("%d builds counted, want 4", n)
	}
}

func TestZeroPoliciesAreASnapshotToo(t *testing.T) {
	f := newRulesFixture(t, cluster.Config, cluster.Namespace(t))
	if got := answer(f.store, localPart+"@acme.com"); got != rules.ErrNotLoaded.Error() {
		t.Errorf("before the first build: %s", got)
	}
	f.reconcile(t)
	wantAnswer(t, f.store, localPart+"@acme.com", "DENY NoPolicyApplies")

	// The same without a call of ours: no event comes from an empty namespace.
	r := startReplica(t, cluster.Config, cluster.Namespace(t), "alone")
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "DENY NoPolicyApplies")
}

func TestAFailedChangeLeavesTheOldState(t *testing.T) {
	namespace := cluster.Namespace(t)
	cut, config := startProxy(t, cluster.Config)
	f := newRulesFixture(t, config, namespace)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	f.reconcile(t)
	before := f.digest(t)

	// The policy names a list, which has to be read, and cannot be.
	cluster.Keep(t, apiserver.List(namespace, "good", map[string]string{"entries": "beta.example\n"}))
	cluster.Apply(t, namespace, "acme", `{allow: {lists: [{configMap: {name: good}}]}}`)
	f.catchUp(t)
	cut.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the client tries again and again
	defer cancel()
	if _, err := f.reconciler.Reconcile(ctx, namespaceRequest(namespace)); err == nil {
		t.Fatal("a list that could not be read was taken for one that is not there")
	}
	if after := f.digest(t); after != before {
		t.Errorf("the snapshot changed from %s to %s", before, after)
	}
	wantAnswer(t, f.store, localPart+"@acme.com", "ALLOW Allowed")
	failed, stale := builds(t, f.registry, buildListFailed), metric(t, f.registry, "registration_policy_rules_stale")
	if failed != 1 || stale != 1 {
		t.Errorf("%d failures counted, stale is %v; want 1 and 1", failed, stale)
	}

	cut.Restore()
	f.reconcile(t)
	wantAnswer(t, f.store, localPart+"@acme.com", "DENY NotAllowed")
	wantAnswer(t, f.store, localPart+"@beta.example", "ALLOW Allowed")
	if stale := metric(t, f.registry, "registration_policy_rules_stale"); stale != 0 {
		t.Errorf("stale is %v after a build that succeeded, want 0", stale)
	}
}

func TestAFailedFirstListPublishesNothing(t *testing.T) {
	cut, config := startProxy(t, cluster.Config)
	cut.Cut()
	f := newRulesFixture(t, config, cluster.Namespace(t))
	if _, err := f.reconciler.Reconcile(t.Context(), namespaceRequest(f.namespace)); err != nil {
		t.Fatal(err)
	}
	if got := answer(f.store, localPart+"@acme.com"); got != rules.ErrNotLoaded.Error() {
		t.Errorf("without a first list: %s, want %q", got, rules.ErrNotLoaded)
	}
}

// The values of the label result.
const (
	buildPublished  = "published"
	buildListFailed = "list_failed"
)

func TestAThousandChangesShareTheirBuildsAndDoNotStarve(t *testing.T) {
	const changes = 1000
	namespace := cluster.Namespace(t)
	r := startReplica(t, cluster.Config, namespace, "alone")
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "DENY NoPolicyApplies")

	began, before := time.Now(), builds(t, r.registry, buildPublished)
	for i := range changes {
		object := policyObject(t, namespace, fmt.Sprintf("policy-%d", i), fmt.Sprintf("{allow: {domains: [d%d.example]}}", i))
		if err := cluster.Kube.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		// Half way, while changes still come: what was there long ago must be in force.
		if i == changes/2 {
			eventuallyAnswers(t, within, r.store, localPart+"@d0.example", "ALLOW Allowed")
		}
	}
	eventuallyAnswers(t, within, r.store, fmt.Sprintf("%s@d%d.example", localPart, changes-1), "ALLOW Allowed")
	took, built := time.Since(began), builds(t, r.registry, buildPublished)-before

	// Not a bound on time: however long it took, there is a build for each interval of it at the most, the first one and the
	// last one apart. A change that comes just as a build begins may be built at once, for a tenth of them at the most.
	intervals := int(took / buildInterval)
	if most := intervals + intervals/10 + 2; built > most {
		t.Errorf("%d builds in %s, want at most %d: one in %s", built, took, most, buildInterval)
	}
	if built >= changes {
		t.Errorf("%d builds for %d changes", built, changes)
	}
	t.Logf("%d changes in %s: %d builds", changes, took.Round(time.Millisecond), built)
}

func TestAStatusWriteBuildsNothing(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	r := startReplica(t, cluster.Config, namespace, "alone")
	eventually(t, within, func() string { return lacksCondition(t, cluster, namespace, "acme", "True", "Accepted") })
	// Another change proves that the event of the status write has come through: events of one kind keep their order.
	cluster.Apply(t, namespace, "beta", `{allow: {domains: [beta.example]}}`)
	eventuallyAnswers(t, within, r.store, localPart+"@beta.example", "ALLOW Allowed")
	if n := builds(t, r.registry, buildPublished); n > 3 {
		t.Errorf("%d builds, want at most 3: at the start, for the listed policy, and for the second one", n)
	}
}

func TestNoInformerAsksForAnyVersionThatTheServerHasAtHand(t *testing.T) {
	const anyVersion = "0"
	isStreamedList := func(request *http.Request) bool { return request.URL.Query().Get("sendInitialEvents") == "true" }
	for sentence, refuse := range map[string]func(*http.Request) bool{
		"with a streamed first list":                nil,
		"with a server that streams no first lists": isStreamedList,
	} {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
			recorded, config := onTheWire(cluster.Config, refuse)
			r := startReplica(t, config, namespace, "alone")
			eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "ALLOW Allowed")

			calls := recorded.to(http.MethodGet, "/registrationpolicies")
			if len(calls) == 0 {
				t.Fatal("no call of the informer was recorded")
			}
			lists := 0
			for _, c := range calls {
				if version := strings.Join(c.query["resourceVersion"], ","); version == anyVersion {
					t.Errorf("%s %s asks for resourceVersion=%s: %v", c.method, c.path, version, c.query)
				}
				if len(c.query["watch"]) == 0 {
					lists++
				}
			}
			if refuse != nil && lists == 0 {
				t.Error("no list was recorded: the fallback was not tried")
			}
		})
	}
}

// Each policy of a namespace that is refused as a whole has a status that names the size: it is not written for each change of one.
func TestStatusOfARefusedNamespaceIsAskedForOnlyWhenItsSizeHasChangedMuch(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newRulesFixture(t, cluster.Config, namespace)
	f.limits[namespace] = 1
	var asked []types.NamespacedName
	f.reconciler.OnBuilt(func(policies []types.NamespacedName) { asked = policies })
	apply := func(from, until int) []types.NamespacedName {
		for i := from; i < until; i++ {
			cluster.Apply(t, namespace, fmt.Sprint("policy-", i), `{allow: {domains: [acme.com]}}`)
		}
		asked = nil
		f.reconcile(t)
		return asked
	}
	const all = 10
	if got := apply(0, all); len(got) != all {
		t.Errorf("asked for %d of %d policies when they were refused", len(got), all)
	}
	one := &unstructured.Unstructured{}
	one.SetNamespace(namespace)
	one.SetName("policy-0")
	refused, built := f.reconciler.Built(one)
	if !built || !strings.Contains(refused.Refused, "10 policies") {
		t.Fatalf("refused %v, %+v; want a text that names the figures", built, refused)
	}
	if got := apply(all, all+1); len(got) != 0 {
		t.Errorf("asked for %d policies when one more was refused", len(got))
	}
	if got := apply(all+1, 2*all); len(got) != 2*all {
		t.Errorf("asked for %d of %d policies when they were twice as many", len(got), 2*all)
	}
	delete(f.limits, namespace)
	if got := apply(0, 1); len(got) != 2*all {
		t.Errorf("asked for %d of %d policies when they came into force", len(got), 2*all)
	}
}
