package publish

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/listobjects"
	"registrationpolicy.dev/operator/rules"
)

// ConfigMaps is where lists are kept. Only ConfigMaps with the label of a list are in it.
type ConfigMaps interface {
	// Version returns the version of a ConfigMap; the zero Version where there is none.
	Version(name types.NamespacedName) Version
	// Get returns the content of that version or a newer one, nil if it is gone by then. It must not be changed. An error says that
	// it could not be told.
	Get(ctx context.Context, name types.NamespacedName) (*corev1.ConfigMap, error)
}

// Version names one stored state of an object.
type Version struct {
	// UID and ResourceVersion are those of the object.
	UID             types.UID
	ResourceVersion string
}

// Lists finds the lists that policies name, and compiles each content once, however many policies use it and however often rules
// are built. Groups of policies, such as a namespace, are resolved side by side: one whose list takes long to compile holds up no
// other.
type Lists struct {
	metrics *Metrics
	// keepTexts says that what lists were read from is remembered with them.
	keepTexts bool

	mu       sync.Mutex
	groups   map[string]map[listKey]*foundList
	compiled map[string]*compilation // by digest
}

// listKey is a reference to a list.
type listKey struct {
	types.NamespacedName
	key string
}

// foundList is what a reference led to, and by which objects. It is immutable.
type foundList struct {
	by   map[types.NamespacedName]Version
	maps []*corev1.ConfigMap // with keepTexts, those of by that were there
	list *rules.List
	// missing and broken are those of rules.ListUse.
	missing string
	broken  bool
}

// compilation is one content that is compiled, or about to be.
type compilation struct {
	once sync.Once
	list atomic.Pointer[rules.List] // nil until it is compiled
}

// NewLists returns an empty set. keepTexts says that Resolved.ConfigMaps is wanted. The metrics may be nil.
func NewLists(metrics *Metrics, keepTexts bool) *Lists {
	return &Lists{metrics: metrics, keepTexts: keepTexts, groups: map[string]map[listKey]*foundList{}, compiled: map[string]*compilation{}}
}

// Resolved are the policies of a group with the lists that they name.
type Resolved struct {
	// Policies are those of the group, in the order in which they were given.
	Policies []rules.Policy
	// ConfigMaps are what the lists were read from, each once, in no particular order; none without keepTexts.
	ConfigMaps []*corev1.ConfigMap
	// Inconsistent says that one ConfigMap was read twice and not in the same version: a change fell between.
	Inconsistent bool
}

// Resolve returns the policies of a group with the lists that they name. What the group used before and uses no longer is
// forgotten. Only if an object that a list was read from has changed is anything read, hashed or compiled anew. An error says that
// it could not be told which lists there are, which is not the absence of any; the earlier state is then kept. One group is resolved
// by one goroutine at a time.
func (l *Lists) Resolve(ctx context.Context, group string, from ConfigMaps, policies []rules.Policy) (Resolved, error) {
	l.mu.Lock()
	before := l.groups[group]
	l.mu.Unlock()
	found := map[listKey]*foundList{}
	resolved := Resolved{Policies: slices.Clone(policies)}
	for i := range policies {
		policy := &resolved.Policies[i]
		for _, uses := range []*[]rules.ListUse{&policy.Allow.Lists, &policy.Deny.Lists} {
			*uses = slices.Clone(*uses) // the policy is shared with later builds
			for j := range *uses {
				use := &(*uses)[j]
				key := listKey{types.NamespacedName{Namespace: policy.Namespace, Name: use.Name}, use.Key}
				list := found[key] // what another policy of this build was given: a change does not fall between them
				if list == nil {
					var err error
					if list, err = l.find(ctx, key, from, before[key]); err != nil {
						return Resolved{}, err
					}
					found[key] = list
				}
				use.List, use.Missing, use.Broken = list.list, list.missing, list.broken
			}
		}
	}
	resolved.ConfigMaps, resolved.Inconsistent = configMapsOf(found)
	l.replace(group, found)
	return resolved, nil
}

func configMapsOf(found map[listKey]*foundList) (maps []*corev1.ConfigMap, inconsistent bool) {
	versions := map[types.NamespacedName]Version{}
	taken := map[types.NamespacedName]bool{}
	for _, list := range found {
		for name, version := range list.by {
			before, twice := versions[name]
			inconsistent = inconsistent || twice && before != version
			versions[name] = version
		}
		for _, object := range list.maps {
			name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
			if !taken[name] {
				maps = append(maps, object)
			}
			taken[name] = true
		}
	}
	return maps, inconsistent
}

// find returns what a reference leads to. before is what it led to at the last time; nil if that is not known.
func (l *Lists) find(ctx context.Context, key listKey, from ConfigMaps, before *foundList) (*foundList, error) {
	if before != nil && before.current(from) {
		return before, nil
	}
	var fault error
	found := &foundList{by: map[types.NamespacedName]Version{}}
	get := func(name string) (*corev1.ConfigMap, bool) {
		place := types.NamespacedName{Namespace: key.Namespace, Name: name}
		version := from.Version(place)
		found.by[place] = version
		if fault != nil || version == (Version{}) {
			return nil, false
		}
		object, err := from.Get(ctx, place)
		if err != nil {
			fault = err
			return nil, false
		}
		if object != nil && l.keepTexts {
			found.maps = append(found.maps, object)
		}
		return object, object != nil
	}
	texts, missing, result := listobjects.Read(get, key.Name, key.key)
	if fault != nil {
		return nil, fault
	}
	switch result {
	case listobjects.Found:
		found.list = l.compile(texts)
	case listobjects.Broken:
		found.missing, found.broken = missing, true
	default:
		found.missing = missing
	}
	return found, nil
}

// current says that none of the objects that the list was read from has changed.
func (f *foundList) current(from ConfigMaps) bool {
	for name, version := range f.by {
		if from.Version(name) != version {
			return false
		}
	}
	return true
}

func (l *Lists) compile(texts [][]byte) *rules.List {
	digest := rules.ListDigest(texts...)
	l.mu.Lock()
	known := l.compiled[digest]
	if known == nil {
		known = &compilation{}
		l.compiled[digest] = known
	}
	l.mu.Unlock()
	known.once.Do(func() {
		known.list.Store(rules.CompileList(texts...))
		l.metrics.listCompiled()
	})
	return known.list.Load()
}

// replace notes what a group uses now, and drops what no group uses. A list that a snapshot in force still has lives as long as that.
func (l *Lists) replace(group string, found map[listKey]*foundList) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups[group] = found
	inUse := map[string]*rules.List{}
	for _, group := range l.groups {
		for _, found := range group {
			if found.list != nil {
				inUse[found.list.Digest()] = found.list
			}
		}
	}
	entries := 0
	for digest, known := range l.compiled {
		// One without a list is being compiled for another group.
		if list := known.list.Load(); inUse[digest] == nil && list != nil {
			delete(l.compiled, digest)
		}
	}
	for _, list := range inUse {
		entries += list.Entries()
	}
	l.metrics.listsInUse(len(inUse), entries)
}

// Forget drops a group and what only it used.
func (l *Lists) Forget(group string) {
	l.replace(group, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.groups, group)
}
