package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/listobjects"
	"registrationpolicy.dev/operator/rules"
)

// Lists finds the lists that policies name, and compiles each content once, however many policies use it and however often the
// rules are built. It may be used by several goroutines at the same time, which then share what is compiled.
type Lists struct {
	maps    configMaps
	metrics *Metrics

	mu       sync.Mutex
	found    map[listKey]*foundList
	compiled map[string]*rules.List // by digest
}

// configMaps is where lists are kept. A ConfigMap that is not there is no error. What it returns must not be changed.
type configMaps interface {
	get(ctx context.Context, name types.NamespacedName) (*corev1.ConfigMap, error)
}

// listKey is a reference to a list.
type listKey struct {
	types.NamespacedName
	key string
}

// foundList is what a reference led to, and by which objects.
type foundList struct {
	by   []version
	maps []*corev1.ConfigMap // those of by that were there
	list *rules.List
	// missing and broken are those of rules.ListUse.
	missing string
	broken  bool
}

// version is a ConfigMap as it was read; with no UID, it was not there.
type version struct {
	name            types.NamespacedName
	uid             types.UID
	resourceVersion string
}

// NewLists returns lists that are read through reader, which knows the ConfigMaps with the label of one.
func NewLists(reader client.Reader, metrics *Metrics) *Lists {
	return newLists(cachedMaps{reader}, metrics)
}

func newLists(maps configMaps, metrics *Metrics) *Lists {
	return &Lists{maps: maps, metrics: metrics, found: map[listKey]*foundList{}, compiled: map[string]*rules.List{}}
}

// cachedMaps reads from the cache of a manager.
type cachedMaps struct{ reader client.Reader }

func (m cachedMaps) get(ctx context.Context, name types.NamespacedName) (*corev1.ConfigMap, error) {
	object := &corev1.ConfigMap{}
	err := m.reader.Get(ctx, name, object, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // as configMaps says
	case err != nil:
		return nil, fmt.Errorf("read the ConfigMap %s: %w", name, err)
	}
	return object, nil
}

// ResolveAll returns the policies with the lists that they name. What none of them uses is forgotten. An error says that it could
// not be told which lists there are: that is not the absence of any.
func (l *Lists) ResolveAll(ctx context.Context, policies []rules.Policy) ([]rules.Policy, error) {
	resolved, _, err := l.resolveAll(ctx, policies)
	return resolved, err
}

// readMaps are the ConfigMaps that lists were read from.
type readMaps struct {
	maps []*corev1.ConfigMap // by no order; one may be there several times
	// torn says that one was read twice and not as the same: a change fell between, and from these one could not tell what was made
	// of them.
	torn bool
}

// resolveAll returns too what the lists were read from.
func (l *Lists) resolveAll(ctx context.Context, policies []rules.Policy) ([]rules.Policy, readMaps, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := map[listKey]bool{}
	resolved := make([]rules.Policy, len(policies))
	for i := range policies {
		var err error
		if resolved[i], err = l.resolve(ctx, policies[i], used); err != nil {
			return nil, readMaps{}, err
		}
	}
	l.forgetBut(used)
	var read readMaps
	versions := map[types.NamespacedName]version{}
	for _, found := range l.found {
		read.maps = append(read.maps, found.maps...)
		for _, by := range found.by {
			before, twice := versions[by.name]
			read.torn = read.torn || twice && before != by
			versions[by.name] = by
		}
	}
	return resolved, read, nil
}

// resolveApart resolves policies with other ConfigMaps than those of l, which remembers only what was compiled.
func (l *Lists) resolveApart(ctx context.Context, from configMaps, policies []rules.Policy) ([]rules.Policy, error) {
	apart := newLists(from, l.metrics)
	resolved, err := apart.ResolveAll(ctx, policies)
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.Copy(l.compiled, apart.compiled)
	return resolved, err
}

// Resolve returns a policy with the lists that it names, like ResolveAll.
func (l *Lists) Resolve(ctx context.Context, policy rules.Policy) (rules.Policy, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.resolve(ctx, policy, map[listKey]bool{})
}

func (l *Lists) resolve(ctx context.Context, policy rules.Policy, used map[listKey]bool) (rules.Policy, error) {
	for _, uses := range []*[]rules.ListUse{&policy.Allow.Lists, &policy.Deny.Lists} {
		*uses = slices.Clone(*uses) // the policy is shared with later builds
		for i := range *uses {
			use := &(*uses)[i]
			key := listKey{types.NamespacedName{Namespace: policy.Namespace, Name: use.Name}, use.Key}
			found := l.found[key]
			if !used[key] { // or else what another policy of this build was given: a change does not fall between them
				var err error
				if found, err = l.find(ctx, key); err != nil {
					return rules.Policy{}, err
				}
			}
			used[key] = true
			use.List, use.Missing, use.Broken = found.list, found.missing, found.broken
		}
	}
	return policy, nil
}

// find returns what a reference leads to. Only if an object on the way has changed is anything read, hashed or compiled anew.
func (l *Lists) find(ctx context.Context, key listKey) (*foundList, error) {
	known, found := l.found[key]
	if found {
		same, err := l.unchanged(ctx, known)
		if err != nil || same {
			return known, err
		}
	}
	var fault error
	fresh := &foundList{}
	get := func(name string) (*corev1.ConfigMap, bool) {
		place := types.NamespacedName{Namespace: key.Namespace, Name: name}
		object, err := l.maps.get(ctx, place)
		if err != nil {
			fault = err
			return nil, false
		}
		fresh.by = append(fresh.by, versionOf(place, object))
		if object != nil {
			fresh.maps = append(fresh.maps, object)
		}
		return object, object != nil
	}
	texts, missing, result := listobjects.Read(get, key.Name, key.key)
	if fault != nil {
		return nil, fault
	}
	switch result {
	case listobjects.Found:
		fresh.list = l.compile(texts)
	case listobjects.Broken:
		fresh.missing, fresh.broken = missing, true
	default:
		fresh.missing = missing
	}
	l.found[key] = fresh
	return fresh, nil
}

// unchanged also takes the objects anew: those of a cache are replaced by equal ones, and must not be kept beside these.
func (l *Lists) unchanged(ctx context.Context, known *foundList) (bool, error) {
	var maps []*corev1.ConfigMap
	for _, before := range known.by {
		object, err := l.maps.get(ctx, before.name)
		if err != nil {
			return false, err
		}
		if versionOf(before.name, object) != before {
			return false, nil
		}
		if object != nil {
			maps = append(maps, object)
		}
	}
	known.maps = maps
	return true, nil
}

func versionOf(name types.NamespacedName, object *corev1.ConfigMap) version {
	if object == nil {
		return version{name: name}
	}
	return version{name, object.UID, object.ResourceVersion}
}

func (l *Lists) compile(texts [][]byte) *rules.List {
	digest := rules.ListDigest(texts...)
	if list, found := l.compiled[digest]; found {
		return list
	}
	list := rules.CompileList(texts...)
	l.compiled[digest] = list
	l.metrics.listCompiled()
	return list
}

// forgetBut drops what is not used. A list that a snapshot in force still has lives as long as that.
func (l *Lists) forgetBut(used map[listKey]bool) {
	digests := map[string]bool{}
	for key, found := range l.found {
		switch {
		case !used[key]:
			delete(l.found, key)
		case found.list != nil:
			digests[found.list.Digest()] = true
		}
	}
	entries := 0
	for digest, list := range l.compiled {
		if !digests[digest] {
			delete(l.compiled, digest)
			continue
		}
		entries += list.Entries()
	}
	l.metrics.listsInUse(len(l.compiled), entries)
}

// hasLists says whether a policy names any.
func hasLists(policy *rules.Policy) bool { return len(policy.Allow.Lists)+len(policy.Deny.Lists) > 0 }
