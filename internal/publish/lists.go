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

// ConfigMaps is where lists are kept. Only ConfigMaps with the label of a list are in it.
type ConfigMaps interface {
	// Version returns the version of a ConfigMap; the zero Version where there is none.
	Version(name types.NamespacedName) Version
	// Get returns a ConfigMap in the version that Version has returned; nil if it is gone. It must not be changed. An error says that it
	// could not be told: ErrChanged, that it is stored in another version.
	Get(ctx context.Context, name types.NamespacedName, version Version) (*corev1.ConfigMap, error)
}

// ErrChanged says that an object is stored in another version than its watch has brought. Rules made of it would go back when the watch
// brings the versions between: a list that was deleted and made again would be in force, then missing, then in force again.
var ErrChanged = errors.New("it has changed, and the watch has not brought that yet")

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

	// large is held while a list of several ConfigMaps is read.
	large sync.Mutex

	mu       sync.Mutex
	groups   map[string]map[listKey]*foundList
	compiled map[string]*rules.List // by digest
}

// listKey is a reference to a list.
type listKey struct {
	types.NamespacedName
	key string
}

// foundList is what a reference led to, and by which objects. It is immutable.
type foundList struct {
	by   map[types.NamespacedName]Version
	list *rules.List
	// text and lines are what was counted of it: all of it, unless overBudget says that it was not read to its end.
	text, lines int64
	// missing, broken and overBudget are those of rules.ListUse.
	missing    string
	broken     bool
	overBudget bool
}

// NewLists returns an empty set. The metrics may be nil.
func NewLists(metrics *Metrics) *Lists {
	return &Lists{metrics: metrics, groups: map[string]map[listKey]*foundList{}, compiled: map[string]*rules.List{}}
}

// Resolve returns the policies of a group, in the order in which they were given, with the lists that they name. What the group used
// before and uses no longer is forgotten. Only if an object that a list was read from has changed is anything read, hashed or compiled
// anew. An error says that it could not be told which lists there are, which is not the absence of any; the earlier state is then kept.
// It is ErrChanged where that passes by itself.
// One group is resolved by one goroutine at a time.
//
// Each list is taken from the account, in the order of their names; one that does not fit counts as missing.
func (l *Lists) Resolve(
	ctx context.Context, group string, from ConfigMaps, account *budget.Account, policies []rules.Policy,
) ([]rules.Policy, error) {
	l.mu.Lock()
	before := l.groups[group]
	l.mu.Unlock()
	found := map[listKey]*foundList{}
	for _, key := range namedBy(policies) {
		list, err := l.find(ctx, key, from, account, before[key])
		if err != nil {
			return nil, err
		}
		found[key] = list
	}
	resolved := slices.Clone(policies)
	for i := range resolved {
		policy := &resolved[i]
		for _, uses := range []*[]rules.ListUse{&policy.Allow.Lists, &policy.Deny.Lists} {
			*uses = slices.Clone(*uses) // the policy is shared with later builds
			for j := range *uses {
				use := &(*uses)[j]
				list := found[keyOf(policy, use)]
				use.List, use.Missing, use.Broken, use.OverBudget = list.list, list.missing, list.broken, list.overBudget
			}
		}
	}
	l.replace(group, found)
	return resolved, nil
}

func keyOf(policy *rules.Policy, use *rules.ListUse) listKey {
	return listKey{types.NamespacedName{Namespace: policy.Namespace, Name: use.Name}, use.Key}
}

// namedBy returns the lists that policies name, each once, in the order of their names.
func namedBy(policies []rules.Policy) []listKey {
	named := map[listKey]bool{}
	for i := range policies {
		for _, uses := range [][]rules.ListUse{policies[i].Allow.Lists, policies[i].Deny.Lists} {
			for j := range uses {
				named[keyOf(&policies[i], &uses[j])] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(named), func(a, b listKey) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.key, b.key))
	})
}

// find returns what a reference leads to, as far as the account has room for it. before is what it led to at the last time; nil if
// that is not known.
func (l *Lists) find(
	ctx context.Context, key listKey, from ConfigMaps, account *budget.Account, before *foundList,
) (*foundList, error) {
	if before != nil && before.current(from) {
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
	var fault error
	found := &foundList{by: map[types.NamespacedName]Version{}}
	get := func(name string) (*corev1.ConfigMap, bool) {
		place := types.NamespacedName{Namespace: key.Namespace, Name: name}
		version := from.Version(place)
		found.by[place] = version
		if fault != nil || version == (Version{}) {
			return nil, false
		}
		object, err := from.Get(ctx, place, version)
		if err != nil {
			fault = err
			return nil, false
		}
		return object, object != nil
	}
	reading := &reading{lists: l, account: account}
	defer reading.end()
	missing, result := listconfigmap.Stream(get, key.Name, key.key, reading)
	if fault != nil {
		return nil, fault
	}
	found.text, found.lines = reading.text, reading.lines
	switch result {
	case listconfigmap.Found:
		account.Take(found.text, found.lines)
		found.list = reading.finish()
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

// refused returns the same without the list, which is beyond the budget.
func (f *foundList) refused(why string) *foundList {
	return &foundList{by: f.by, text: f.text, lines: f.lines, missing: why, broken: true, overBudget: true}
}

// reading takes up the texts of one list, as long as the account has room for them.
type reading struct {
	lists       *Lists
	account     *budget.Account
	known       *rules.List // the list that it says it is, if that is compiled already
	builder     *rules.ListBuilder
	text, lines int64
	exclusive   bool
}

// Begin refuses a list that says it is too large. Of lists of several ConfigMaps, one is read at a time.
func (r *reading) Begin(digest string, size int64) bool {
	if size >= 0 {
		if r.account.Check(size, 0) != "" {
			r.text = size
			return false
		}
		r.lists.large.Lock()
		r.exclusive = true
	}
	r.lists.mu.Lock()
	r.known = r.lists.compiled[digest]
	r.lists.mu.Unlock()
	if r.known == nil {
		r.builder = rules.NewListBuilder()
	}
	return true
}

// Add compiles a text unless the whole is compiled already.
func (r *reading) Add(text []byte) bool {
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

// finish returns the list of the texts, which other groups may use too.
func (r *reading) finish() *rules.List {
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

func (r *reading) end() {
	if r.exclusive {
		r.lists.large.Unlock()
	}
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

// Forget drops a group and what only it used.
func (l *Lists) Forget(group string) {
	l.replace(group, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.groups, group)
}
