package controllers

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"registrationpolicy.dev/operator/internal/build"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/policystatus"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

const (
	// maxUndelayed is the number of policies up to which warnings are computed at once after each change. With more
	// policies, a change waits up to warningInterval and shares the computation with later ones: each computation
	// compares all policies.
	maxUndelayed    = 100
	warningInterval = time.Second
)

// computeWarningsRequest is the request to compute the warnings of all policies again, after one was deleted. It has no
// namespace, unlike the request for a policy.
var computeWarningsRequest = ctrl.Request{NamespacedName: types.NamespacedName{Name: "policies"}}

// changedWriteInterval is the time between two status writes for policies whose warnings change because another policy
// has changed. It limits the writes if an author breaks and fixes that policy repeatedly.
const changedWriteInterval = 100 * time.Millisecond

// warningCache has the warnings of all policies. All are computed together, since some warnings compare policies: a
// change of one policy may add or end a warning of another. The methods of warningCache may be called concurrently.
type warningCache struct {
	computing sync.Mutex // held while warnings are computed

	mu      sync.Mutex
	at      time.Time // of the last computation
	members map[types.NamespacedName]policyWarnings
}

// policyWarnings has the warnings of one version of a policy.
type policyWarnings struct {
	uid        types.UID
	generation int64
	resolved   rules.Policy // the policy with the contents of its lists
	warnings   []lint.Warning
	overruled  *policystatus.Overruler // nil if no other policy denies all of its calls
}

// lookup returns the cached warnings of a policy, and whether they are for this version of the object and of its lists.
func (w *warningCache) lookup(object *unstructured.Unstructured, policy *rules.Policy) (policyWarnings, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	member, found := w.members[policyobject.NameOf(object)]
	current := found && member.uid == object.GetUID() && member.generation == object.GetGeneration() &&
		build.SameLists(&member.resolved, policy)
	return member, current
}

// wait returns how long the next computation must wait.
func (w *warningCache) wait() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.members) <= maxUndelayed {
		return 0
	}
	return max(0, warningInterval-time.Since(w.at))
}

// replace sets the computed warnings, and returns the policies whose warnings changed.
func (w *warningCache) replace(members map[types.NamespacedName]policyWarnings) (changed []types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, member := range members {
		before, found := w.members[name]
		if found && (!slices.Equal(before.warnings, member.warnings) || !before.overruled.Equal(member.overruled)) {
			changed = append(changed, name)
		}
	}
	w.members, w.at = members, time.Now()
	return changed
}

// warnings returns the warnings of a policy. policy is its built form, with the contents of its lists. wait is how long
// to wait before warnings is called again; 0 if the warnings are returned.
func (r *StatusReconciler) warnings(object *unstructured.Unstructured, policy *rules.Policy) (_ policyWarnings, wait time.Duration) {
	if member, current := r.warningCache.lookup(object, policy); current {
		return member, 0
	}
	if wait := r.computeWarnings(); wait > 0 {
		return policyWarnings{}, wait
	}
	member, current := r.warningCache.lookup(object, policy)
	if !current {
		return policyWarnings{}, shortRetry // the policy has changed during the computation
	}
	return member, 0
}

// computeWarnings computes the warnings of all policies. If the last computation is too recent, or another is running,
// it computes nothing and returns how long to wait.
func (r *StatusReconciler) computeWarnings() (wait time.Duration) {
	w := r.warningCache
	if wait := w.wait(); wait > 0 {
		return wait
	}
	if !w.computing.TryLock() {
		return shortRetry
	}
	defer w.computing.Unlock()
	objects := r.stored.AllPolicies()
	members := make(map[types.NamespacedName]policyWarnings, len(objects))
	policies := make([]lint.Policy, 0, len(objects))
	compiled := make([]*publish.Policy, 0, len(objects))
	for _, object := range objects {
		built, ok := r.built.Built(object)
		if !ok || built.Refused != "" {
			continue // not built yet, or not read because its namespace is over its memory limit
		}
		members[policyobject.NameOf(object)] = policyWarnings{
			uid: object.GetUID(), generation: object.GetGeneration(), resolved: built.Written,
		}
		policies = append(policies, lint.Policy{Policy: built.Written, Compiled: built.Compiled})
		compiled = append(compiled, built)
	}
	for _, warning := range r.scopes.Warnings(policies) {
		name := types.NamespacedName{Namespace: warning.Policy.Namespace, Name: warning.Policy.Name}
		member := members[name]
		member.warnings = append(member.warnings, warning)
		members[name] = member
	}
	for policy, by := range policystatus.Overruled(r.scopes, compiled) {
		name := types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name}
		member := members[name]
		member.overruled = by
		members[name] = member
	}
	changed := w.replace(members)
	if r.queue != nil {
		for i, name := range changed {
			r.queue.AddWithOpts(priorityqueue.AddOpts{After: time.Duration(i) * changedWriteInterval, Priority: new(bulkPriority)},
				ctrl.Request{NamespacedName: name})
		}
	}
	return 0
}
