package policies

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

const (
	// ownPolicies and tenantPolicies are the maximum numbers of policies in a namespace. The first policy always exists
	// and uses both lists, so that the rules have another digest after every change.
	ownPolicies, tenantPolicies = 7, 3
	// minPause and maxPause limit the pause between two changes.
	minPause, maxPause = 50 * time.Millisecond, 1500 * time.Millisecond
	// One in longPauseEvery pauses is longPause, in which a generation can come into force everywhere.
	longPauseEvery, longPause = 6, 5 * time.Second
	// afterDoubt is the wait after a write whose response was lost. In that time, the API server may still carry out an
	// earlier attempt.
	afterDoubt = time.Second
	// apiTimeout is the timeout of one API request, and apiRetry the pause before the next attempt.
	apiTimeout, apiRetry = 3 * time.Second, 200 * time.Millisecond
)

// policyState is a state of all policies of a namespace, with the period in which it was stored.
type policyState struct {
	specs map[string]writtenSpec
	span  history.Span
}

// listState is a state of a list, with the period in which it was stored.
type listState struct {
	text   string
	stored bool
	span   history.Span
}

// lists has a state of each list of a namespace, in the order of listNames.
type lists [history.ListCount]*listState

// writtenSpec is the spec of a policy, the number of the change that wrote it, and its size as JSON.
type writtenSpec struct {
	spec   v1alpha1.RegistrationPolicySpec
	number int
	size   int64
}

// Author changes the policies and lists of a namespace, and records when each of their states was stored. No other code
// writes them.
type Author struct {
	// Namespace is the name of the namespace.
	Namespace string

	client   client.Client
	timeline *fleet.Timeline
	scope    []string // see scopeOf
	names    int      // the maximum number of policies
	chance   *rand.Rand
	compiler *compiler

	mu       sync.Mutex // held while anything is changed
	policies []policyState
	lists    [history.ListCount][]listState
	known    map[string]bool // digests of all states so far
	changes  int
	doubts   int                  // changes with a lost or failed response
	uids     map[string]types.UID // of stored objects, by type and name

	noting sync.Mutex
	stored map[history.Generation]firstStored
}

// firstStored is the first state, an index in Author.policies, that contains a generation of a policy. begin is when
// its write was sent.
type firstStored struct {
	state int
	begin history.Moment
}

// NewAuthor returns the author of a namespace, which must exist without policies and lists.
func NewAuthor(c client.Client, timeline *fleet.Timeline, namespace string, seed uint64) (*Author, error) {
	compiler, err := newCompiler(namespace)
	if err != nil {
		return nil, err
	}
	a := &Author{
		client: c, timeline: timeline, Namespace: namespace, scope: scopeOf(namespace), names: tenantPolicies, compiler: compiler,
		known: map[string]bool{}, uids: map[string]types.UID{}, stored: map[history.Generation]firstStored{},
		policies: []policyState{{specs: map[string]writtenSpec{}, span: history.Span{End: history.Never}}},
	}
	for i := range a.lists {
		a.lists[i] = []listState{{span: history.Span{End: history.Never}}}
	}
	if namespace == Own {
		a.names = ownPolicies
	}
	stream := slices.Index(Namespaces(), namespace) // each author has its own stream of random numbers
	a.chance = rand.New(rand.NewPCG(seed, authorStream+uint64(stream)))
	return a, nil
}

// authorStream is the first stream of random numbers of authors. Package script uses lower ones.
const authorStream = 10

// Run makes changes until ctx ends. It completes the last change, however long that takes.
func (a *Author) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		var pause time.Duration
		if err := a.Exclusively(func() error {
			if pause = minPause + time.Duration(a.chance.Int64N(int64(maxPause-minPause))); a.chance.IntN(longPauseEvery) == 0 {
				pause = longPause
			}
			return a.change(context.WithoutCancel(ctx))
		}); err != nil {
			return err
		}
		fleet.Sleep(ctx, pause)
	}
	return nil
}

// Exclusively calls change while the author makes no other change.
func (a *Author) Exclusively(change func() error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return change()
}

// Fill stores the initial policies and lists.
func (a *Author) Fill(ctx context.Context) error {
	for i := range listNames {
		if err := a.writeList(ctx, i); err != nil {
			return err
		}
	}
	for i := range a.names {
		if err := a.writePolicy(ctx, policyName(i)); err != nil {
			return err
		}
	}
	return nil
}

// WriteFirst gives the first policy a new spec, so that the following states are unique. Otherwise changePolicies would
// skip deletions that lead to an earlier state. It must be called within Exclusively.
func (a *Author) WriteFirst(ctx context.Context) error { return a.writePolicy(ctx, policyName(0)) }

// Removals returns functions that each remove one policy or list, for all of them. The functions must be called within
// Exclusively.
func (a *Author) Removals(ctx context.Context) []func() error {
	var all []func() error
	for i := range a.names {
		all = append(all, func() error { return a.removePolicy(ctx, policyName(i)) })
	}
	for i := range listNames {
		all = append(all, func() error { return a.removeList(ctx, i) })
	}
	return all
}

// Writes returns functions that each store random content in one policy or list, for all of them. The functions must be
// called within Exclusively.
func (a *Author) Writes(ctx context.Context) []func() error {
	var all []func() error
	for i := range a.names {
		all = append(all, func() error { return a.writePolicy(ctx, policyName(i)) })
	}
	for i := range listNames {
		all = append(all, func() error { return a.writeList(ctx, i) })
	}
	return all
}

// Doubts returns how many writes had a lost or failed response.
func (a *Author) Doubts() int { return a.doubts }

// Generations returns how many generations of policies were stored.
func (a *Author) Generations() int { return len(a.stored) }

func policyName(i int) string { return fmt.Sprintf("policy-%d", i) }

// change makes a random change of one object.
func (a *Author) change(ctx context.Context) error {
	const listsOf, deletionsOf, all = 15, 12, 100
	if a.chance.IntN(all) < listsOf {
		list := a.chance.IntN(len(listNames))
		if a.chance.IntN(all) < deletionsOf {
			return a.removeList(ctx, list)
		}
		return a.writeList(ctx, list)
	}
	i := a.chance.IntN(a.names)
	if i > 0 && a.chance.IntN(all) < deletionsOf {
		return a.removePolicy(ctx, policyName(i))
	}
	return a.writePolicy(ctx, policyName(i))
}

// writePolicy stores a random spec for a policy. The spec is unique in the namespace.
func (a *Author) writePolicy(ctx context.Context, name string) error {
	a.changes++
	return a.putPolicy(ctx, name, randomSpec(a.chance, a.scope, name == policyName(0), a.changes))
}

// writeList stores a random text for a list. The text is unique in the run.
func (a *Author) writeList(ctx context.Context, list int) error {
	a.changes++
	return a.putList(ctx, list, randomList(a.chance, a.changes))
}

func (a *Author) putPolicy(ctx context.Context, name string, spec v1alpha1.RegistrationPolicySpec) error {
	next := policyState{specs: maps.Clone(a.policies[len(a.policies)-1].specs)}
	next.specs[name] = writtenSpec{spec: spec, number: a.changes}
	return a.changePolicies(ctx, name, next)
}

func (a *Author) removePolicy(ctx context.Context, name string) error {
	next := policyState{specs: maps.Clone(a.policies[len(a.policies)-1].specs)}
	if _, exists := next.specs[name]; !exists {
		return nil
	}
	delete(next.specs, name)
	return a.changePolicies(ctx, name, next)
}

// changePolicies stores the next state of the policies, which differs from the current one in the policy with that
// name. It does nothing if the rules would be the same as in an earlier state: the digest of an answer would then not
// tell by which of the two states it was given.
func (a *Author) changePolicies(ctx context.Context, name string, next policyState) error {
	written, stays := next.specs[name]
	_, existed := a.policies[len(a.policies)-1].specs[name]
	object := &v1alpha1.RegistrationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: name}, Spec: written.spec}
	if stays {
		size, err := specSize(object)
		if err != nil {
			return err
		}
		written.size = size
		next.specs[name] = written
	}
	if repeated, err := a.repeats(ctx, &next, a.newestLists()); repeated || err != nil {
		return err
	}
	next.span = history.Span{Begin: a.timeline.Now(), End: history.Never}
	generation, err := a.store(ctx, object, !stays, !existed, func() { object.Spec = written.spec })
	if err != nil {
		return err
	}
	if stays { // the stored spec includes defaults that the API server adds
		written.spec = object.Spec
		if written.size, err = specSize(object); err != nil {
			return err
		}
		next.specs[name] = written
		a.noting.Lock()
		a.stored[generation] = firstStored{len(a.policies), next.span.Begin}
		a.noting.Unlock()
	}
	a.policies[len(a.policies)-1].span.End = a.timeline.Now()
	a.policies = append(a.policies, next)
	return nil
}

func (a *Author) putList(ctx context.Context, list int, text string) error {
	return a.changeList(ctx, list, listState{text: text, stored: true})
}

func (a *Author) removeList(ctx context.Context, list int) error {
	if states := a.lists[list]; !states[len(states)-1].stored {
		return nil
	}
	return a.changeList(ctx, list, listState{})
}

// newestLists returns the newest state of each list.
func (a *Author) newestLists() lists {
	var newest lists
	for i, states := range a.lists {
		newest[i] = &states[len(states)-1]
	}
	return newest
}

// changeList stores the next state of a list. Like changePolicies, it does nothing if the rules would be the same as in
// an earlier state.
func (a *Author) changeList(ctx context.Context, list int, next listState) error {
	states, all := a.lists[list], a.newestLists()
	all[list] = &next
	if repeated, err := a.repeats(ctx, &a.policies[len(a.policies)-1], all); repeated || err != nil {
		return err
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: listNames[list]}}
	next.span = history.Span{Begin: a.timeline.Now(), End: history.Never}
	if _, err := a.store(ctx, object, !next.stored, !states[len(states)-1].stored, func() {
		object.Labels = listconfigmap.Labels()
		object.Data = map[string]string{"entries": next.text}
	}); err != nil {
		return err
	}
	states[len(states)-1].span.End = a.timeline.Now()
	a.lists[list] = append(states, next)
	return nil
}

// repeats reports whether an earlier state had the same rules, and records their digest. It returns false for a
// namespace that is being deleted or created, which has no first policy, and for one beyond its budget: their rules may
// repeat.
func (a *Author) repeats(ctx context.Context, policies *policyState, lists lists) (bool, error) {
	if _, stays := policies.specs[policyName(0)]; !stays {
		return false, nil
	}
	part, err := a.compiler.compile(ctx, policies, lists)
	if err != nil || part.denied {
		return false, err
	}
	repeated := a.known[part.digest]
	a.known[part.digest] = true
	return repeated, nil
}

// specSize returns the size of a policy's spec as JSON.
func specSize(policy *v1alpha1.RegistrationPolicy) (int64, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	if err != nil {
		return 0, err
	}
	text, err := json.Marshal(object["spec"])
	return int64(len(text)), err
}

// Newest returns the generation of the policy that was written last.
func (a *Author) Newest() []history.Generation {
	a.noting.Lock()
	defer a.noting.Unlock()
	var newest history.Generation
	state := -1
	for generation, first := range a.stored {
		if first.state > state {
			newest, state = generation, first.state
		}
	}
	return []history.Generation{newest}
}

// StoredSince returns the generations whose writes were sent after a moment.
func (a *Author) StoredSince(since history.Moment) []history.Generation {
	a.noting.Lock()
	defer a.noting.Unlock()
	var generations []history.Generation
	for generation, first := range a.stored {
		if first.begin > since {
			generations = append(generations, generation)
		}
	}
	return generations
}

// store writes an object with the content that set gives it, or removes it. It returns when it is certain that the
// write is stored. A repeated attempt cannot write twice, because each write names the resourceVersion that it
// replaces. isNew says that the last state did not have the object.
func (a *Author) store(ctx context.Context, object client.Object, remove, isNew bool, set func()) (history.Generation, error) {
	doubt, key := false, fmt.Sprintf("%T %s", object, object.GetName())
	for {
		once, cancel := context.WithTimeout(ctx, apiTimeout)
		var done bool
		var err error
		switch uid := a.uids[key]; {
		case isNew && !doubt:
			set()
			err = a.client.Create(once, object)
			done = err == nil
		case remove && !doubt && uid != "":
			err = client.IgnoreNotFound(a.client.Delete(once, object, client.Preconditions{UID: &uid}))
			done = err == nil
		default:
			done, err = a.storeOnce(once, object, remove, set)
		}
		cancel()
		if done {
			if doubt {
				a.doubts++
				time.Sleep(afterDoubt)
			}
			a.uids[key] = object.GetUID()
			return history.Generation{
				Namespace: a.Namespace, Policy: object.GetName(), UID: string(object.GetUID()), Number: object.GetGeneration(),
			}, nil
		}
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
			return history.Generation{}, fmt.Errorf("store %s: %w", object.GetName(), err)
		}
		doubt = doubt || !apierrors.IsConflict(err) // after a conflict, nothing is stored: the operator wrote the status in between
		time.Sleep(apiRetry)
	}
}

func (a *Author) storeOnce(ctx context.Context, object client.Object, remove bool, set func()) (done bool, err error) {
	err = a.client.Get(ctx, client.ObjectKeyFromObject(object), object)
	switch {
	case apierrors.IsNotFound(err) && remove:
		return true, nil
	case apierrors.IsNotFound(err):
		object.SetUID("")
		object.SetResourceVersion("")
		set()
		err = a.client.Create(ctx, object)
		return err == nil, err
	case err != nil:
		return false, err
	case remove:
		asSeen := client.Preconditions{UID: new(object.GetUID()), ResourceVersion: new(object.GetResourceVersion())}
		err = a.client.Delete(ctx, object, asSeen)
		return err == nil, err
	}
	before, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return false, err
	}
	set()
	after, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return false, err
	}
	if same(before, after) { // an earlier attempt succeeded
		return true, nil
	}
	err = a.client.Update(ctx, object)
	return err == nil, err
}

// same reports whether two objects have equal spec and data.
func same(stored, wanted map[string]any) bool {
	for _, member := range []string{"spec", "data"} {
		if fmt.Sprint(stored[member]) != fmt.Sprint(wanted[member]) {
			return false
		}
	}
	return true
}
