package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/rules"
)

// ConfigMaps provides the ConfigMaps that hold lists.
type ConfigMaps interface {
	// Version returns the version of a ConfigMap that a watch has delivered last; the zero Version if there is no such
	// ConfigMap.
	Version(name types.NamespacedName) Version
	// Get returns a ConfigMap in the given version, or nil if the ConfigMap no longer exists. The caller must not
	// change the ConfigMap. Get fails if the ConfigMap cannot be read, and with [ErrChanged] if it can be read only in
	// another version.
	Get(ctx context.Context, name types.NamespacedName, version Version) (*corev1.ConfigMap, error)
}

// ErrChanged means that the stored version of a ConfigMap is not the one that its watch has delivered last. The stored
// version must not come into force early, because the watch would then deliver the versions in between. For example, a
// list that was deleted and created again would be in force, then missing, then in force again.
var ErrChanged = errors.New("it has changed, and the watch has not brought that yet")

// Version identifies one stored version of an object.
type Version struct {
	// UID and ResourceVersion are the fields of the same name in the object's metadata.
	UID             types.UID
	ResourceVersion string
}

// Lists reads and compiles the lists that policies name. Lists with the same content are compiled once, even if several
// policies use them or the rules are built again. The policies of each namespace form a group. Groups are resolved
// concurrently, so that a list that takes long to compile delays only its own namespace.
type Lists struct {
	metrics *Metrics

	// sharded is held while a list that is divided among several ConfigMaps is read; see listReader.Begin.
	sharded sync.Mutex

	mu       sync.Mutex
	groups   map[string]map[listKey]*resolvedList // the lists in use, by the name of the group
	compiled map[string]*rules.List               // the compiled lists, by digest
}

// listKey identifies a list: the name of its ConfigMap, or of the first of several, and the key in it.
type listKey struct {
	types.NamespacedName
	key string
}

// resolvedList is the result of reading the list of a listKey: a compiled list, or why there is none. It is immutable.
type resolvedList struct {
	// objects maps each ConfigMap of the list to the version that was read; the zero Version for a ConfigMap that does
	// not exist.
	objects map[types.NamespacedName]Version
	list    *rules.List // nil if the list is missing, broken or over budget
	// text is the size of the list in bytes, and lines its number of lines. If overBudget is true, both may count only
	// the part of the list that was read.
	text, lines int64
	// missing, broken and overBudget are the fields Missing, Broken and OverBudget of [rules.ListUse].
	missing    string
	broken     bool
	overBudget bool
}

// NewLists returns a Lists. metrics may be nil.
func NewLists(metrics *Metrics) *Lists {
	return &Lists{metrics: metrics, groups: map[string]map[listKey]*resolvedList{}, compiled: map[string]*rules.List{}}
}

// Resolve returns the policies of a group (see [Lists]), in the given order, with the compiled lists that they name. It
// reads and compiles a list again only if one of its ConfigMaps has changed, and forgets lists that the group no longer
// uses. A ConfigMap that does not exist is not an error: its list is missing. Only one goroutine may resolve a group at
// a time.
//
// Resolve fails if a ConfigMap cannot be read, and with [ErrChanged] while its stored version is not the one that the
// watch has delivered. After a failure, Lists still has the lists of the earlier call.
//
// Resolve charges the lists to the memory account of the namespace, in the order of their names. A list for which too
// little memory is left counts as missing.
func (l *Lists) Resolve(
	ctx context.Context, group string, from ConfigMaps, account *budget.Account, policies []rules.Policy,
) ([]rules.Policy, error) {
	pointers := make([]*rules.Policy, len(policies))
	for i := range policies {
		pointers[i] = &policies[i]
	}
	pointers, err := l.Refresh(ctx, group, from, account, pointers)
	if err != nil {
		return nil, err
	}
	resolved := make([]rules.Policy, len(policies))
	for i := range resolved {
		resolved[i] = *pointers[i]
	}
	return resolved, nil
}

// Refresh is [Lists.Resolve] for policies that may already have compiled lists from an earlier call. It returns the
// same pointer for a policy whose lists are still current or that names none, and a copy for any other.
func (l *Lists) Refresh(
	ctx context.Context, group string, from ConfigMaps, account *budget.Account, policies []*rules.Policy,
) ([]*rules.Policy, error) {
	l.mu.Lock()
	before := l.groups[group]
	l.mu.Unlock()
	found := map[listKey]*resolvedList{}
	for _, key := range namedBy(policies) {
		list, err := l.resolveList(ctx, key, from, account, before[key])
		if err != nil {
			return nil, err
		}
		found[key] = list
	}
	resolved := make([]*rules.Policy, len(policies))
	for i, policy := range policies {
		resolved[i] = withLists(policy, found)
	}
	l.replace(group, found)
	return resolved, nil
}

// withLists returns a policy with the lists in found. It returns the policy itself if it already has these lists, and
// otherwise a copy, because earlier builds share the policy.
func withLists(policy *rules.Policy, found map[listKey]*resolvedList) *rules.Policy {
	allow, allowChanged := usesWithLists(policy, policy.Allow.Lists, found)
	deny, denyChanged := usesWithLists(policy, policy.Deny.Lists, found)
	if !allowChanged && !denyChanged {
		return policy
	}
	resolved := *policy
	resolved.Allow.Lists, resolved.Deny.Lists = allow, deny
	return &resolved
}

// usesWithLists returns uses with the lists in found. uses are those of the policy's allow or deny. If a list differs,
// changed is true and the result is a copy.
func usesWithLists(policy *rules.Policy, uses []rules.ListUse, found map[listKey]*resolvedList) (_ []rules.ListUse, changed bool) {
	resolved := uses
	for i := range uses {
		use := found[keyOf(policy, &uses[i])].use(uses[i])
		if use == uses[i] {
			continue
		}
		if !changed {
			resolved, changed = slices.Clone(uses), true
		}
		resolved[i] = use
	}
	return resolved, changed
}

// use returns a copy of u with the compiled list, or with the reason why there is none.
func (f *resolvedList) use(u rules.ListUse) rules.ListUse {
	u.List, u.Missing, u.Broken, u.OverBudget = f.list, f.missing, f.broken, f.overBudget
	return u
}

func keyOf(policy *rules.Policy, use *rules.ListUse) listKey {
	return listKey{types.NamespacedName{Namespace: policy.Namespace, Name: use.Name}, use.Key}
}

// namedBy returns the lists that policies name, without duplicates, sorted.
func namedBy(policies []*rules.Policy) []listKey {
	named := map[listKey]bool{}
	for _, policy := range policies {
		for _, uses := range [][]rules.ListUse{policy.Allow.Lists, policy.Deny.Lists} {
			for j := range uses {
				named[keyOf(policy, &uses[j])] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(named), func(a, b listKey) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.key, b.key))
	})
}

// resolveList reads and compiles a list, and charges it to account. If account has too little memory left, the result
// has no list. before is the previous result for this key, or nil; it is reused if no ConfigMap has changed.
func (l *Lists) resolveList(
	ctx context.Context, key listKey, from ConfigMaps, account *budget.Account, before *resolvedList,
) (*resolvedList, error) {
	if before != nil && before.isCurrent(from) {
		switch refusal := account.Check(before.text, before.lines); {
		case before.list == nil && !before.overBudget:
			return before, nil
		case refusal != "":
			account.Refuse(before.text, before.lines)
			return before.refused(refusal), nil
		case before.list != nil:
			account.Take(before.text, before.lines)
			return before, nil
		}
	}
	var getErr error
	found := &resolvedList{objects: map[types.NamespacedName]Version{}}
	get := func(name string) (*corev1.ConfigMap, bool) {
		ref := types.NamespacedName{Namespace: key.Namespace, Name: name}
		version := from.Version(ref)
		found.objects[ref] = version
		if getErr != nil || version == (Version{}) {
			return nil, false
		}
		object, err := from.Get(ctx, ref, version)
		if err != nil {
			getErr = err
			return nil, false
		}
		return object, object != nil
	}
	reader := &listReader{lists: l, account: account}
	defer reader.end()
	missing, result := listconfigmap.Stream(get, key.Name, key.key, reader)
	if getErr != nil {
		return nil, getErr
	}
	found.text, found.lines = reader.text, reader.lines
	switch result {
	case listconfigmap.Found:
		account.Take(found.text, found.lines)
		found.list = reader.finish()
	case listconfigmap.NotWanted:
		account.Refuse(found.text, found.lines)
		return found.refused(account.Check(found.text, found.lines)), nil
	case listconfigmap.Broken:
		found.missing, found.broken = missing, true
	default:
		found.missing = missing
	}
	return found, nil
}

// refused returns a copy of f for a list that is over the memory budget of its namespace. The copy has no list.
func (f *resolvedList) refused(why string) *resolvedList {
	return &resolvedList{objects: f.objects, text: f.text, lines: f.lines, missing: why, broken: true, overBudget: true}
}

// listReader is the [listconfigmap.Sink] that compiles one list. It stops as soon as the namespace's memory account has
// too little left for the list.
type listReader struct {
	lists       *Lists
	account     *budget.Account
	known       *rules.List        // the compiled list with the digest given to Begin; nil if there is none yet
	builder     *rules.ListBuilder // compiles the list; nil if known is set
	text, lines int64              // bytes and lines that were read so far
	holdsLock   bool               // this reader holds the mutex lists.sharded, which Begin locks for a divided list
}

// Begin starts a list. For a list that is divided among several ConfigMaps, digest and size (in bytes) are from its
// index; for any other list, size is negative. Begin returns false if account has too little memory left for the list.
//
// Divided lists can be large. Only one of them is read at a time, so that the text of only one is in memory.
func (r *listReader) Begin(digest string, size int64) bool {
	if size >= 0 {
		if r.account.Check(size, 0) != "" {
			r.text = size
			return false
		}
		r.lists.sharded.Lock()
		r.holdsLock = true
	}
	r.lists.mu.Lock()
	r.known = r.lists.compiled[digest]
	r.lists.mu.Unlock()
	if r.known == nil {
		r.builder = rules.NewListBuilder()
	}
	return true
}

// Add compiles the next part of the text, unless the list is compiled already. It returns false if account has too
// little memory left for the list.
func (r *listReader) Add(text []byte) bool {
	r.text += int64(len(text))
	r.lines += int64(bytes.Count(text, []byte{'\n'}))
	if r.account.Check(r.text, r.lines) != "" {
		return false
	}
	if r.known == nil {
		r.builder.Add(text)
	}
	return true
}

// finish returns the compiled list. If another namespace has compiled the same content, it returns that list, so that
// both share its memory.
func (r *listReader) finish() *rules.List {
	if r.known != nil {
		return r.known
	}
	list := r.builder.Finish()
	r.lists.metrics.listCompiled()
	r.lists.mu.Lock()
	defer r.lists.mu.Unlock()
	if known := r.lists.compiled[list.Digest()]; known != nil {
		return known
	}
	r.lists.compiled[list.Digest()] = list
	return list
}

// end releases lists.sharded, if this reader holds it.
func (r *listReader) end() {
	if r.holdsLock {
		r.lists.sharded.Unlock()
	}
}

// isCurrent reports whether the ConfigMaps of a list still have the versions that were read.
func (f *resolvedList) isCurrent(from ConfigMaps) bool {
	for name, version := range f.objects {
		if from.Version(name) != version {
			return false
		}
	}
	return true
}

// replace sets the lists of a group, and drops compiled lists that no group uses any more. A snapshot in force has its
// own references, so that a dropped list stays in memory while the snapshot uses it.
func (l *Lists) replace(group string, found map[listKey]*resolvedList) {
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
	for digest := range l.compiled {
		if inUse[digest] == nil {
			delete(l.compiled, digest)
		}
	}
	for _, list := range inUse {
		entries += list.Entries()
	}
	l.metrics.listsInUse(len(inUse), entries)
}

// Forget drops a group (see [Lists]) and the compiled lists that only its policies use.
func (l *Lists) Forget(group string) {
	l.replace(group, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.groups, group)
}
