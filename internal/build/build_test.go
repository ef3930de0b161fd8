package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// stored has the policies and the lists of the namespace "team".
type stored struct {
	policies map[string]*unstructured.Unstructured
	lists    map[string]*corev1.ConfigMap
	versions int
	// unread is the name of a policy or list that cannot be read; "" if all can.
	unread string
}

func newStored() *stored {
	return &stored{policies: map[string]*unstructured.Unstructured{}, lists: map[string]*corev1.ConfigMap{}}
}

// set stores a version of a policy.
func (s *stored) set(t testing.TB, name string, spec map[string]any) {
	t.Helper()
	s.versions++
	object := policyobject.New()
	object.SetNamespace("team")
	object.SetName(name)
	object.SetUID("1")
	object.SetGeneration(int64(s.versions))
	object.Object["spec"] = spec
	if err := informers.Compact(object); err != nil {
		t.Fatal(err)
	}
	s.policies[name] = object
}

// setStatus stores a version of a policy with the same spec.
func (s *stored) setStatus(name string) {
	object := &unstructured.Unstructured{Object: maps.Clone(s.policies[name].Object)}
	s.versions++
	object.SetResourceVersion(fmt.Sprint(s.versions))
	s.policies[name] = object
}

func (s *stored) setList(name, text string) {
	s.versions++
	list := &corev1.ConfigMap{Data: map[string]string{"list": text}}
	list.Name, list.Namespace, list.ResourceVersion = name, "team", fmt.Sprint(s.versions)
	s.lists[name] = list
}

func (s *stored) Policies(string) []*unstructured.Unstructured {
	return slices.Collect(maps.Values(s.policies))
}

func (s *stored) ReadPolicy(_ context.Context, cached *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if cached.GetName() == s.unread {
		return nil, publish.ErrChanged
	}
	return informers.WithSpec(cached)
}

func (s *stored) RecountSpecs(string, []*unstructured.Unstructured) {}

func (s *stored) Version(name types.NamespacedName) publish.Version {
	if list, found := s.lists[name.Name]; found {
		return publish.Version{ResourceVersion: list.ResourceVersion}
	}
	return publish.Version{}
}

func (s *stored) Get(_ context.Context, name types.NamespacedName, _ publish.Version) (*corev1.ConfigMap, error) {
	if name.Name == s.unread {
		return nil, publish.ErrChanged
	}
	return s.lists[name.Name], nil
}

func newBuilder(t testing.TB, from *stored, limits budget.Limits) *Builder {
	t.Helper()
	builder, err := New(Options{
		Stored: from, Lists: publish.NewLists(nil), Limits: limits,
		Publisher: publish.New(publish.Options{Store: &rules.Store{}, Logger: logr.Discard()}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return builder
}

// contents returns the digests of the compiled policies of a build by their names.
func contents(t *testing.T, built *Namespace) map[string]string {
	t.Helper()
	digests, last := map[string]string{}, ""
	for _, policy := range built.Policies() {
		name := policy.Written.Name
		if name <= last {
			t.Fatalf("%q comes after %q", name, last)
		}
		digests[name], last = rules.Assemble(nil, []*rules.Compiled{policy.Compiled}).Digest(), name
	}
	return digests
}

func TestABuildFromAnEarlierOneEqualsAWholeBuild(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			from := newStored()
			limits := budget.Limits{"team": 12 * budget.PolicyCost(100)} // some 12 policies fit
			builder := newBuilder(t, from, limits)
			before := &Namespace{}
			for edit := range 100 {
				for range 1 + r.IntN(3) {
					change(t, from, r)
				}
				now, err := builder.Build(t.Context(), "team", before, from)
				if from.unread = ""; err != nil {
					if !errors.Is(err, publish.ErrChanged) {
						t.Fatal(err)
					}
					continue
				}
				again := &Builder{builder.options, builder.schema}
				again.options.Lists = publish.NewLists(nil)
				whole, err := again.Build(t.Context(), "team", &Namespace{}, from)
				if err != nil {
					t.Fatal(err)
				}
				got, want, earlier := contents(t, now), contents(t, whole), contents(t, before)
				if !maps.Equal(got, want) {
					t.Fatalf("edit %d: the build has %v, want %v", edit, got, want)
				}
				if same := maps.Equal(got, earlier); now.Equal(before) && !same {
					t.Fatalf("edit %d: a build that differs is equal to the earlier one", edit)
				}
				for _, name := range changedNames(now, earlier, got, from) {
					if !slices.Contains(builder.Changed("team", now, before), types.NamespacedName{Namespace: "team", Name: name}) {
						t.Fatalf("edit %d: %s is not among the changed policies", edit, name)
					}
				}
				for _, object := range from.policies {
					if policy, ok := now.Policy(object); !ok || now.refused == nil && policy.Written.Name != object.GetName() {
						t.Fatalf("edit %d: the build has not the policy of %s", edit, object.GetName())
					}
				}
				before = now
			}
		})
	}
}

// changedNames returns the stored policies of which the contents differ between two builds.
func changedNames(now *Namespace, earlier, got map[string]string, from *stored) []string {
	if now.refused != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Collect(maps.Keys(from.policies)), func(name string) bool { return earlier[name] == got[name] })
}

// change makes one random change.
func change(t *testing.T, from *stored, r *rand.Rand) {
	t.Helper()
	name := fmt.Sprintf("p%02d", r.IntN(14))
	list := fmt.Sprintf("l%d", r.IntN(3))
	_, found := from.policies[name]
	switch kind := r.IntN(12); {
	case kind < 4 || !found:
		spec := map[string]any{"allow": map[string]any{"domains": []any{fmt.Sprintf("d%d.example", r.IntN(5))}}}
		if r.IntN(2) == 0 {
			spec["deny"] = map[string]any{"lists": []any{map[string]any{"configMap": map[string]any{"name": list}}}}
		}
		from.set(t, name, spec)
	case kind < 6:
		delete(from.policies, name)
	case kind < 8:
		from.setStatus(name)
	case kind < 10:
		from.setList(list, fmt.Sprintf("e%d.example\n", r.IntN(4)))
	case kind < 11:
		delete(from.lists, list)
	default:
		from.unread = []string{name, list}[r.IntN(2)]
	}
}

// BenchmarkBuildOneChange is a build of 10,000 policies of which one has changed.
func BenchmarkBuildOneChange(b *testing.B) {
	const others = 10_000
	from := newStored()
	set := func(i, domain int) {
		from.set(b, fmt.Sprintf("p%05d", i), map[string]any{"allow": map[string]any{"domains": []any{fmt.Sprintf("d%d.example", domain)}}})
	}
	for i := range others + 1 {
		set(i, 0)
	}
	builder := newBuilder(b, from, nil)
	before, err := builder.Build(b.Context(), "team", &Namespace{}, from)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		set(i*7919%others, i+1)
		if before, err = builder.Build(b.Context(), "team", before, from); err != nil {
			b.Fatal(err)
		}
	}
}
