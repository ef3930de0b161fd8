package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/random"
)

// bounds bounds namespaces to sources, as --namespace-sources does.
type bounds map[string][]string

func (b bounds) bound(policy rules.Policy) (rules.Policy, []rules.Rejection, bool) {
	sources, bounded := b[policy.Namespace]
	if !bounded {
		return policy, nil, true
	}
	policy.Sources = sources
	return policy, nil, len(sources) > 0
}

type fixture struct {
	*Publisher

	store *rules.Store
	log   bytes.Buffer
}

func newFixture(scopes bounds, namespaces ...string) *fixture {
	f := &fixture{store: &rules.Store{}}
	f.Publisher = New(Options{
		Namespaces: namespaces, Bound: scopes.bound, Store: f.store, Logger: logr.FromSlogHandler(slog.NewTextHandler(&f.log, nil)),
	})
	return f
}

// allow publishes a namespace with one policy that allows a domain.
func (f *fixture) allow(namespace, domain, synced string) {
	policy := rules.Policy{
		PolicyName: rules.PolicyName{Namespace: namespace, Name: "p"}, Allow: rules.AllowRules{Domains: []string{domain}},
	}
	f.Publish(namespace, Build{Policies: []*Policy{f.Compile(policy)}, Synced: synced})
}

// answer returns the reason for which a sign-up is decided so; that nothing is in force is one.
func (f *fixture) answer(domain, source string) string {
	snapshot, err := f.store.Load()
	if err != nil {
		return err.Error()
	}
	return string(snapshot.Decide(rules.Call{
		Shape: rules.SignUp, Source: source,
		Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: "jo@" + domain}},
	}).Reason)
}

func (f *fixture) want(t *testing.T, when, domain, source, reason string) {
	t.Helper()
	if got := f.answer(domain, source); got != reason {
		t.Errorf("%s: a call of %s with an address of %s: %s, want %s", when, source, domain, got, reason)
	}
}

func TestNothingIsInForceBeforeEveryNamespaceIsKnown(t *testing.T) {
	f := newFixture(nil, "a", "b")
	f.allow("a", "a.example", "1")
	f.want(t, "with one of two", "a.example", "rul1", rules.ErrNotLoaded.Error())
	if got := f.Pending(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("pending: %q, want b", got)
	}
	f.Publish("b", Build{Synced: "2"})
	f.want(t, "with both", "a.example", "rul1", "Allowed")
	now, _ := f.InForce()
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, now.Synced); diff != "" {
		t.Errorf("synced (-want +got):\n%s", diff)
	}
}

func TestTheScopeOfANamespaceThatWasNeverReadIsDeniedAndNoOther(t *testing.T) {
	f := newFixture(bounds{"team": {"rul1"}}, "own", "team")
	f.allow("own", "a.example", "1")
	f.SetUnreadable("team", "namespace team was not read yet: forbidden")
	f.want(t, "in its scope", "a.example", "rul1", "PolicyNotEnforceable")
	f.want(t, "elsewhere", "a.example", "rul2", "Allowed")
	now, _ := f.InForce()
	if _, synced := now.Synced["team"]; synced || !slices.Equal(now.Unreadable, []string{"team"}) || f.HasRead("team") {
		t.Errorf("in force: %+v", now)
	}
	f.allow("team", "b.example", "5")
	f.SetReadable("team")
	f.want(t, "once it was read", "a.example", "rul1", "Allowed")
	if now, _ := f.InForce(); len(now.Unreadable) > 0 || now.Synced["team"] != "5" {
		t.Errorf("in force: %+v", now)
	}
}

func TestWhatWasReadStaysInForceWhereItCanNoLongerBe(t *testing.T) {
	f := newFixture(bounds{"team": {"rul1"}}, "own", "team")
	f.allow("own", "a.example", "1")
	f.allow("team", "b.example", "2")
	before, changed := f.InForce()
	f.SetUnreadable("team", "forbidden")
	f.want(t, "its last known rules", "b.example", "rul1", "Allowed")
	select {
	case <-changed:
	default:
		t.Error("nobody is told that the namespace cannot be read")
	}
	if now, _ := f.InForce(); now.Digest != before.Digest || now.Synced["team"] != "2" {
		t.Errorf("in force: %+v, before %+v", now, before)
	}
}

func TestANamespaceWithoutABoundThatWasNeverReadIsWaitedFor(t *testing.T) {
	f := newFixture(bounds{"other": {"rul1"}}, "own", "team")
	f.allow("own", "a.example", "1")
	f.SetUnreadable("team", "forbidden")
	f.want(t, "without it", "a.example", "rul1", rules.ErrNotLoaded.Error())
	if got := f.Pending(); !slices.Equal(got, []string{"team"}) {
		t.Errorf("pending: %q, want team", got)
	}
}

// keeper notes what it is told to keep.
type keeper struct{ calls []string }

func (k *keeper) Invalidate(string) { k.calls = append(k.calls, "invalidate") }
func (k *keeper) Deactivate()       { k.calls = append(k.calls, "deactivate") }
func (k *keeper) Save(_ string, synced map[string]string, _ []*Policy) {
	k.calls = append(k.calls, fmt.Sprint("save ", len(synced)))
}

func TestRulesWithoutANamespaceAreNotKept(t *testing.T) {
	f, k := newFixture(bounds{"team": {"rul1"}}, "own", "team"), &keeper{}
	f.SetKeeper(k)
	f.allow("own", "a.example", "1")
	f.SetUnreadable("team", "forbidden")
	f.allow("team", "b.example", "2")
	want := []string{"invalidate", "deactivate", "invalidate", "save 2", "deactivate"}
	if diff := cmp.Diff(want, k.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An API server without its etcd answers every list with an error.
func TestWhileNoNamespaceCouldBeReadWhatWasStoredStaysInForce(t *testing.T) {
	scopes := bounds{"a": {"rul1"}, "b": {"rul2"}}
	stored := newFixture(scopes, "a")
	stored.allow("a", "a.example", "1")
	snapshot, err := stored.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	f, k := newFixture(scopes, "a", "b"), &keeper{}
	f.SetKeeper(k)
	if !f.PublishIfNone(snapshot, nil, 0, func() {}) {
		t.Fatal("not in force")
	}
	f.SetUnreadable("a", "answered 500")
	f.SetUnreadable("b", "answered 500")
	f.want(t, "with nothing read", "a.example", "rul1", "Allowed")
	if len(k.calls) > 0 || !slices.Equal(f.Pending(), []string{"a", "b"}) {
		t.Errorf("the keeper was told to %q; pending: %q, want both", k.calls, f.Pending())
	}
	f.allow("b", "b.example", "7")
	f.want(t, "once one was read", "a.example", "rul1", "PolicyNotEnforceable")
	f.want(t, "once one was read", "b.example", "rul2", "Allowed")
}

func TestAnAdvanceChangesNoRules(t *testing.T) {
	f := newFixture(nil, "a", "b")
	f.allow("a", "a.example", "1")
	f.Advance("a", "9") // before anything is in force
	f.allow("b", "b.example", "2")
	before, changed := f.InForce()
	f.Advance("b", "7")
	now, _ := f.InForce()
	if now.Digest != before.Digest || now.Synced["a"] != "9" || now.Synced["b"] != "7" {
		t.Errorf("in force: %+v", now)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody is told")
	}
	if _, changed = f.InForce(); changed == nil {
		t.Fatal("no channel")
	}
	f.Advance("b", "7")
	select {
	case <-changed:
		t.Error("told of nothing new")
	default:
	}
}

func TestNamespacesArePublishedSideBySide(t *testing.T) {
	var namespaces []string
	for i := range 8 {
		namespaces = append(namespaces, fmt.Sprint("n", i))
	}
	f := newFixture(nil, namespaces...)
	var publishing sync.WaitGroup
	for _, namespace := range namespaces {
		publishing.Go(func() {
			for i := range 50 {
				f.allow(namespace, fmt.Sprintf("%s-%d.example", namespace, i), fmt.Sprint(i+1))
			}
		})
	}
	publishing.Wait()
	for _, namespace := range namespaces {
		f.want(t, "at the end", namespace+"-49.example", "rul1", "Allowed")
		f.want(t, "at the end", namespace+"-48.example", "rul1", "NotAllowed")
	}
}

// maps are ConfigMaps; a nil one cannot be read.
type configMaps map[string]*corev1.ConfigMap

func (m configMaps) Version(name types.NamespacedName) Version {
	object, found := m[name.Name]
	if !found {
		return Version{}
	}
	if object == nil {
		return Version{ResourceVersion: "unreadable"}
	}
	return Version{UID: object.UID, ResourceVersion: object.ResourceVersion}
}

func (m configMaps) Get(_ context.Context, name types.NamespacedName, _ Version) (*corev1.ConfigMap, error) {
	if object := m[name.Name]; object != nil {
		return object, nil
	}
	return nil, errors.New("no answer")
}

func listOf(version string, lines ...string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: version, Labels: map[string]string{listconfigmap.Label: listconfigmap.LabelTrue}},
		Data:       map[string]string{"entries": strings.Join(lines, "\n")},
	}
}

func denying(namespace string, lists ...string) rules.Policy {
	policy := rules.Policy{PolicyName: rules.PolicyName{Namespace: namespace, Name: "p"}}
	for _, name := range lists {
		policy.Deny.Lists = append(policy.Deny.Lists, rules.ListUse{Name: name})
	}
	return policy
}

func TestAContentIsCompiledOnceForAllNamespacesAndForgottenWithItsLastUse(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics := NewMetrics(registry)
	lists := NewLists(metrics)
	resolve := func(namespace string, from configMaps, names ...string) []rules.Policy {
		t.Helper()
		resolved, err := lists.Resolve(t.Context(), namespace, from, nil, []rules.Policy{denying(namespace, names...)})
		if err != nil {
			t.Fatal(err)
		}
		return resolved
	}
	a := resolve("a", configMaps{"bad": listOf("1", "x.example"), "same": listOf("2", "x.example")}, "bad", "same")
	b := resolve("b", configMaps{"other": listOf("3", "x.example")}, "other")
	first := a[0].Deny.Lists[0].List
	if first == nil || a[0].Deny.Lists[1].List != first || b[0].Deny.Lists[0].List != first {
		t.Error("one content was compiled more than once")
	}
	if got := testutil.ToFloat64(metrics.compilations); got != 1 {
		t.Errorf("%v compilations, want 1", got)
	}
	resolve("a", nil)
	if got := testutil.ToFloat64(metrics.lists); got != 1 {
		t.Errorf("%v lists in use, want that of b", got)
	}
	lists.Forget("b")
	if got := testutil.ToFloat64(metrics.lists); got != 0 || len(lists.compiled) != 0 || len(lists.groups) != 1 {
		t.Errorf("%v lists in use, %d remembered", got, len(lists.compiled))
	}
}

func TestAListThatCannotBeReadIsNotAMissingOne(t *testing.T) {
	lists := NewLists(nil)
	if _, err := lists.Resolve(t.Context(), "a", configMaps{"bad": nil}, nil, []rules.Policy{denying("a", "bad")}); err == nil {
		t.Error("a list that could not be read was taken for one that is not there")
	}
	resolved, err := lists.Resolve(t.Context(), "a", configMaps{}, nil, []rules.Policy{denying("a", "bad")})
	if err != nil || resolved[0].Deny.Lists[0].List != nil {
		t.Errorf("a list that is not there: %v, %v", resolved, err)
	}
}

// Rules that came about edit by edit, of policies and of lists, say the same as rules built from nothing.
func TestRefreshingEditByEditIsTheSameAsFromNothing(t *testing.T) {
	random.Each(t, 60, func(t *testing.T, d random.Draw) {
		lists, edited := NewLists(nil), newFixture(nil, "ns")
		from := configMaps{}
		written := map[string]*rules.Policy{}
		built := map[string]*Policy{} // by name
		for step := range 25 {
			for range 1 + d.IntN(3) {
				if list := random.One(d, []string{"a", "b", "c"}); d.Often(1, 2) {
					delete(from, list)
					if d.Often(3, 4) {
						from[list] = listOf(fmt.Sprint(step), append(d.Many(2, d.Line), d.Line())...)
					}
					continue
				}
				p := d.Policy()
				p.Namespace = "ns"
				p.Allow.Lists, p.Deny.Lists = nil, nil
				for range d.IntN(3) {
					p.Allow.Lists = append(p.Allow.Lists, rules.ListUse{Name: random.One(d, []string{"a", "b", "c"})})
					p.Deny.Lists = append(p.Deny.Lists, rules.ListUse{Name: random.One(d, []string{"a", "b", "c"}), Optional: d.Often(1, 2)})
				}
				delete(written, p.Name)
				delete(built, p.Name)
				if d.Often(3, 4) {
					written[p.Name] = &p
				}
			}
			names := slices.Sorted(maps.Keys(written))
			var before []*rules.Policy
			var unresolved []rules.Policy
			for _, name := range names {
				unresolved = append(unresolved, *written[name])
				if known := built[name]; known != nil {
					before = append(before, &known.Written)
				} else {
					before = append(before, written[name])
				}
			}
			resolved, err := lists.Refresh(t.Context(), "ns", from, nil, before)
			if err != nil {
				t.Fatal(err)
			}
			var build Build
			for i, name := range names {
				if known := built[name]; known == nil || resolved[i] != &known.Written {
					built[name] = edited.Compile(*resolved[i])
				}
				build.Policies = append(build.Policies, built[name])
			}
			edited.Publish("ns", build)
			whole := newFixture(nil)
			anew, err := NewLists(nil).Resolve(t.Context(), "ns", from, nil, unresolved)
			if err != nil {
				t.Fatal(err)
			}
			whole.PublishAll(anew)
			got, _ := edited.InForce()
			if want, _ := whole.InForce(); got.Digest != want.Digest {
				t.Fatalf("step %d: digest %s, want %s", step, got.Digest, want.Digest)
			}
			for range 5 {
				call := d.Call()
				gotSnapshot, _ := edited.store.Load()
				wantSnapshot, _ := whole.store.Load()
				gotDecision, gotTraces := gotSnapshot.Explain(call)
				wantDecision, wantTraces := wantSnapshot.Explain(call)
				if diff := cmp.Diff(wantTraces, gotTraces); diff != "" || gotDecision.Reason != wantDecision.Reason || gotDecision.Entry != wantDecision.Entry {
					t.Fatalf("step %d: %s, want %s; traces (-want +got):\n%s", step, gotDecision.Reason, wantDecision.Reason, diff)
				}
			}
		}
	})
}
