package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/controllers"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

const (
	// policyCount is how many policies there are at most; the first is always there and uses both lists, so that every state
	// has a digest of its own.
	policyCount = 7
	// leastPause and mostPause are between two changes: long enough, now and then, that a generation comes into force everywhere.
	leastPause, mostPause = 50 * time.Millisecond, 1500 * time.Millisecond
	// longPauseEvery and longPause: one in so many pauses is that long.
	longPauseEvery, longPause = 6, 5 * time.Second
	// afterDoubt is the time given to a request whose answer was lost, to be carried out or not.
	afterDoubt = time.Second
	// apiTimeout is the time for one call to the API server, and apiRetry when the next is made.
	apiTimeout, apiRetry = 3 * time.Second, 200 * time.Millisecond
)

// policyState is all policies as they are stored from one moment to another; listState the same for the lists.
type policyState struct {
	specs             map[string]v1alpha1.RegistrationPolicySpec
	begin, superseded history.Moment
}

type listState struct {
	texts             map[string]string
	begin, superseded history.Moment
}

// Policies changes policies and lists without end, and keeps what it has stored when. It is the only one that writes them.
type Policies struct {
	client    client.Client
	timeline  *fleet.Timeline
	namespace string
	chance    *rand.Rand
	reader    *controllers.Offline

	policies []policyState
	lists    []listState
	versions map[string]*history.Version
	stored   map[history.Generation]int
	changes  int
	doubts   int // changes whose answer was lost, or refused for the time being
	mixed    int
}

func newPolicies(c client.Client, timeline *fleet.Timeline, namespace string, seed uint64) (*Policies, error) {
	reader, err := controllers.NewOffline()
	if err != nil {
		return nil, err
	}
	p := &Policies{
		client: c, timeline: timeline, namespace: namespace, chance: rand.New(rand.NewPCG(seed, 3)), reader: reader,
		versions: map[string]*history.Version{}, stored: map[history.Generation]int{},
		policies: []policyState{{specs: map[string]v1alpha1.RegistrationPolicySpec{}, superseded: history.Never}},
		lists:    []listState{{texts: map[string]string{}, superseded: history.Never}},
	}
	return p, p.remember(context.Background())
}

// Run makes changes until ctx ends. A change that is begun is ended, for as long as it takes.
func (p *Policies) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.change(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		pause := leastPause + time.Duration(p.chance.Int64N(int64(mostPause-leastPause)))
		if p.chance.IntN(longPauseEvery) == 0 {
			pause = longPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// fill stores the policies and lists that a run begins with.
func (p *Policies) fill(ctx context.Context) error {
	for _, name := range listNames {
		if err := p.changeList(ctx, name, false); err != nil {
			return err
		}
	}
	for i := range policyCount {
		if err := p.changePolicy(ctx, policyName(i), false); err != nil {
			return err
		}
	}
	return nil
}

func policyName(i int) string { return fmt.Sprintf("policy-%d", i) }

// change makes one change, of one object.
func (p *Policies) change(ctx context.Context) error {
	const listsOf, deletionsOf, all = 15, 12, 100
	if p.chance.IntN(all) < listsOf {
		return p.changeList(ctx, pick(p.chance, listNames), p.chance.IntN(all) < deletionsOf)
	}
	i := p.chance.IntN(policyCount)
	return p.changePolicy(ctx, policyName(i), i > 0 && p.chance.IntN(all) < deletionsOf)
}

func (p *Policies) changePolicy(ctx context.Context, name string, remove bool) error {
	next := policyState{specs: maps.Clone(p.policies[len(p.policies)-1].specs), superseded: history.Never}
	_, exists := next.specs[name]
	if remove {
		if !exists {
			return nil
		}
		delete(next.specs, name)
	} else {
		p.changes++
		next.specs[name] = randomSpec(p.chance, name == policyName(0), p.changes)
	}
	lists := &p.lists[len(p.lists)-1]
	version, digest, err := p.compile(ctx, &next, lists)
	if err != nil || p.versions[digest] != nil {
		return err // a state that was there before would have an answer's age in doubt
	}
	object := &v1alpha1.RegistrationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name}}
	next.begin = p.timeline.Now()
	generation, err := p.store(ctx, object, remove, func() { object.Spec = next.specs[name] })
	if err != nil {
		return err
	}
	acked := p.timeline.Now()
	p.policies[len(p.policies)-1].superseded = acked
	p.policies = append(p.policies, next)
	if !remove {
		p.stored[generation] = len(p.policies) - 1
	}
	p.add(version, digest)
	return nil
}

func (p *Policies) changeList(ctx context.Context, name string, remove bool) error {
	next := listState{texts: maps.Clone(p.lists[len(p.lists)-1].texts), superseded: history.Never}
	if remove {
		if _, exists := next.texts[name]; !exists {
			return nil
		}
		delete(next.texts, name)
	} else {
		p.changes++
		next.texts[name] = randomList(p.chance, p.changes)
	}
	policies := &p.policies[len(p.policies)-1]
	version, digest, err := p.compile(ctx, policies, &next)
	if err != nil || p.versions[digest] != nil && len(policies.specs) > 0 {
		return err
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name, Labels: controllers.ListLabels()}}
	next.begin = p.timeline.Now()
	if _, err := p.store(ctx, object, remove, func() {
		object.Labels = controllers.ListLabels()
		object.Data = map[string]string{"entries": next.texts[name]}
	}); err != nil {
		return err
	}
	p.lists[len(p.lists)-1].superseded = p.timeline.Now()
	p.lists = append(p.lists, next)
	p.add(version, digest)
	return nil
}

// add adds the newest version. Those before it are superseded by the same write.
func (p *Policies) add(version *history.Version, digest string) {
	version.Policies, version.Lists = len(p.policies)-1, len(p.lists)-1
	p.versions[digest] = version
}

// remember adds the version of the newest state.
func (p *Policies) remember(ctx context.Context) error {
	version, digest, err := p.compile(ctx, &p.policies[len(p.policies)-1], &p.lists[len(p.lists)-1])
	if err == nil {
		p.add(version, digest)
	}
	return err
}

// store makes one object be as set makes it, or be gone, and returns only when that is certain. Whoever asks for the same
// thing again does not make it twice: each write says which version it replaces.
func (p *Policies) store(ctx context.Context, object client.Object, remove bool, set func()) (history.Generation, error) {
	doubt := false
	for {
		once, cancel := context.WithTimeout(ctx, apiTimeout)
		done, err := p.storeOnce(once, object, remove, set)
		cancel()
		if done {
			if doubt {
				p.doubts++
				time.Sleep(afterDoubt)
			}
			return history.Generation{Policy: object.GetName(), UID: string(object.GetUID()), Number: object.GetGeneration()}, nil
		}
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
			return history.Generation{}, fmt.Errorf("store %s: %w", object.GetName(), err)
		}
		doubt = doubt || !apierrors.IsConflict(err) // that is a write of status in between
		time.Sleep(apiRetry)
	}
}

func (p *Policies) storeOnce(ctx context.Context, object client.Object, remove bool, set func()) (done bool, err error) {
	err = p.client.Get(ctx, client.ObjectKeyFromObject(object), object)
	switch {
	case apierrors.IsNotFound(err) && remove:
		return true, nil
	case apierrors.IsNotFound(err):
		object.SetUID("")
		object.SetResourceVersion("")
		set()
		err = p.client.Create(ctx, object)
		return err == nil, err
	case err != nil:
		return false, err
	case remove:
		asSeen := client.Preconditions{UID: new(object.GetUID()), ResourceVersion: new(object.GetResourceVersion())}
		err = p.client.Delete(ctx, object, asSeen)
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
	if same(before, after) { // an earlier attempt was carried out
		return true, nil
	}
	err = p.client.Update(ctx, object)
	return err == nil, err
}

// same tells whether two objects say the same, but for defaults that the API server has written.
func same(stored, wanted map[string]any) bool {
	for _, member := range []string{"spec", "data"} {
		if fmt.Sprint(stored[member]) != fmt.Sprint(wanted[member]) {
			return false
		}
	}
	return true
}

// compile returns the version that a state of policies and a state of lists make together, by the way that the operator's own
// objects go.
func (p *Policies) compile(ctx context.Context, policies *policyState, lists *listState) (*history.Version, string, error) {
	var objects []unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(policies.specs)) {
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.RegistrationPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name}, Spec: policies.specs[name],
		})
		if err != nil {
			return nil, "", err
		}
		objects = append(objects, unstructured.Unstructured{Object: object})
	}
	read, err := p.reader.ReadObjects(ctx, objects, func(context.Context) ([]corev1.ConfigMap, error) {
		var maps []corev1.ConfigMap
		for name, text := range lists.texts {
			maps = append(maps, corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: p.namespace, Name: name, Labels: controllers.ListLabels(),
					UID: types.UID(rules.ListDigest([]byte(text))), // tells its versions apart
				},
				Data: map[string]string{"entries": text},
			})
		}
		return maps, nil
	})
	if err != nil {
		return nil, "", err
	}
	compiled := make([]rules.Policy, len(read))
	for i := range read {
		compiled[i] = read[i].Policy
		if why := compiled[i].NotUnderstood; why != "" {
			return nil, "", errors.New("a policy that was made up is not understood: " + why)
		}
	}
	snapshot, _ := rules.Compile(compiled)
	return &history.Version{Decide: deciderOf(snapshot)}, snapshot.Digest(), nil
}

// Settle completes the versions after a run: it dates them, and finds those by whose digest a call was answered without their
// being a state that was ever stored as a whole. Policies and lists are watched apart: a replica may know a newer state of one
// with an older one of the other for a moment.
func (p *Policies) Settle(ctx context.Context, calls []history.Call, staleness time.Duration) error {
	tried := map[string]bool{}
	for i := range calls {
		call := &calls[i]
		if call.Answered && p.versions[call.Digest] == nil && !tried[call.Digest] {
			tried[call.Digest] = true
			if err := p.findMixed(ctx, call, staleness); err != nil {
				return err
			}
		}
	}
	for _, version := range p.versions {
		policies, lists := &p.policies[version.Policies], &p.lists[version.Lists]
		version.Begin = max(policies.begin, lists.begin)
		version.Superseded = min(policies.superseded, lists.superseded)
	}
	return nil
}

func (p *Policies) findMixed(ctx context.Context, call *history.Call, staleness time.Duration) error {
	inTime := func(begin, superseded history.Moment) bool {
		return begin <= call.End && call.LastBegin-superseded <= staleness
	}
	for i := range p.policies {
		if !inTime(p.policies[i].begin, p.policies[i].superseded) {
			continue
		}
		for j := range p.lists {
			if !inTime(p.lists[j].begin, p.lists[j].superseded) {
				continue
			}
			version, digest, err := p.compile(ctx, &p.policies[i], &p.lists[j])
			if err != nil {
				return err
			}
			if digest == call.Digest {
				version.Policies, version.Lists = i, j
				p.versions[digest] = version
				p.mixed++
				return nil
			}
		}
	}
	return nil
}

// The things that policies are made of. Calls are made of the same, so that each change matters to some.
var (
	domains   = []string{"alpha.example", "beta.example", "gamma.example", "delta.example", "sub.alpha.example", "deep.sub.beta.example"}
	people    = []string{"jo", "mia", "eve"}
	sources   = []string{"rulAlpha1", "rulBeta1", "rulGamma1"}
	listNames = []string{"list-a", "list-b"}
)

func pick[T any](chance *rand.Rand, from []T) T { return from[chance.IntN(len(from))] }

// some returns a few of them, without repetition, and at least one.
func some[T any](chance *rand.Rand, from []T, most int) []T {
	mixed := slices.Clone(from)
	chance.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return mixed[:1+chance.IntN(min(most, len(mixed)))]
}

// randomSpec returns a spec like no other of the run: its message has the number.
func randomSpec(chance *rand.Rand, bothLists bool, number int) v1alpha1.RegistrationPolicySpec {
	one := func(in int) bool { return chance.IntN(in) == 0 }
	spec := v1alpha1.RegistrationPolicySpec{Mode: v1alpha1.ModeEnforce, Message: v1alpha1.Message(fmt.Sprintf("Change %d.", number))}
	if one(8) {
		spec.Mode = v1alpha1.ModeAudit
	}
	if one(3) {
		spec.AppliesTo = &v1alpha1.AppliesTo{}
		for _, source := range some(chance, sources, 2) {
			spec.AppliesTo.Sources = append(spec.AppliesTo.Sources, v1alpha1.Source(source))
		}
	}
	allow, deny := &v1alpha1.Allow{}, &v1alpha1.Deny{}
	for _, domain := range some(chance, domains, 3) {
		if one(4) {
			domain = "*." + domain
		}
		allow.Domains = append(allow.Domains, v1alpha1.AllowDomain(domain))
	}
	if one(10) {
		allow.Domains = append(allow.Domains, "*")
	}
	if one(3) {
		allow.Addresses = append(allow.Addresses, v1alpha1.MailAddress(pick(chance, people)+"@"+pick(chance, domains)))
	}
	if one(3) {
		deny.Domains = append(deny.Domains, v1alpha1.DenyDomain(pick(chance, domains)))
	}
	if one(3) {
		deny.Addresses = append(deny.Addresses, v1alpha1.MailAddress(pick(chance, people)+"@"+pick(chance, domains)))
	}
	if bothLists || one(4) {
		allow.Lists = append(allow.Lists, listReference(listNames[0], false))
	}
	if bothLists || one(6) {
		deny.Lists = append(deny.Lists, listReference(listNames[1], !one(4)))
	}
	spec.Allow = allow
	if len(deny.Domains)+len(deny.Addresses)+len(deny.Lists) > 0 {
		spec.Deny = deny
	}
	if one(3) {
		value, _ := v1alpha1.NewJSONValue(fmt.Sprintf("Kind%d", chance.IntN(3)))
		spec.Profile = []v1alpha1.ProfileAttribute{{Attribute: "userType", Value: value}}
	}
	return spec
}

func listReference(name string, optional bool) v1alpha1.ListReference {
	reference := v1alpha1.ListReference{ConfigMap: v1alpha1.ConfigMapList{Name: v1alpha1.ObjectName(name)}}
	if optional {
		reference.Optional = new(true)
	}
	return reference
}

// randomList returns a list like no other of the run.
func randomList(chance *rand.Rand, number int) string {
	entries := append(some(chance, domains, 3), fmt.Sprintf("change-%d.example", number))
	return strings.Join(entries, "\n") + "\n"
}
