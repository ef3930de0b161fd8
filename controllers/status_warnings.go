package controllers

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

const (
	// warnedAtOnce is up to how many policies warnings are computed with every change. With more, a change waits up to
	// warningInterval, and shares the computation with those that come meanwhile: a thousand policies applied one after
	// the other are not compared with each other a thousand times.
	warnedAtOnce    = 100
	warningInterval = time.Second
)

// everyPolicy is the request to compute the warnings of all policies anew: one of them is gone.
var everyPolicy = ctrl.Request{NamespacedName: types.NamespacedName{Name: "policies"}}

// changedInterval is the time between the writes of policies whose status changes because of another policy: somebody who breaks
// and fixes one policy of his over and over does not keep the API server busy with all the others.
const changedInterval = 100 * time.Millisecond

// warnedSet is what looks wrong in all policies together. Some of a policy's warnings are about others, so that they are computed for
// all at once, and a change to one may be the end of a warning of another. Its methods may be called at the same time.
type warnedSet struct {
	computing sync.Mutex // held while warnings are computed

	mu      sync.Mutex
	at      time.Time
	members map[types.NamespacedName]warnedPolicy
}

// warnedPolicy is a policy in the version of which the warnings are known.
type warnedPolicy struct {
	uid        types.UID
	generation int64
	resolved   rules.Policy
	warnings   []lint.Warning
	overruled  *overruler // nil if no other policy denies all of its calls
}

// of returns what is known of a policy, if that is about what its object and its lists say now.
func (w *warnedSet) of(object *unstructured.Unstructured, policy *rules.Policy) (warnedPolicy, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	member, found := w.members[policyobject.NameOf(object)]
	current := found && member.uid == object.GetUID() && member.generation == object.GetGeneration() && sameLists(&member.resolved, policy)
	return member, current
}

// wait returns how long the next computation has to wait.
func (w *warnedSet) wait() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.members) <= warnedAtOnce {
		return 0
	}
	return max(0, warningInterval-time.Since(w.at))
}

// replace takes what was computed, and returns the policies of which it says something else than before.
func (w *warnedSet) replace(members map[types.NamespacedName]warnedPolicy) (changed []types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, member := range members {
		before, found := w.members[name]
		if found && (!slices.Equal(before.warnings, member.warnings) || !before.overruled.equal(member.overruled)) {
			changed = append(changed, name)
		}
	}
	w.members, w.at = members, time.Now()
	return changed
}

// warnings returns what looks wrong in a policy which has its lists, as its object says it, alone and together with all others. It may
// say how long to wait before it can be told.
func (r *StatusReconciler) warnings(object *unstructured.Unstructured, policy *rules.Policy) (_ warnedPolicy, wait time.Duration) {
	if member, current := r.warned.of(object, policy); current {
		return member, 0
	}
	if wait := r.warnAgain(); wait > 0 {
		return warnedPolicy{}, wait
	}
	member, current := r.warned.of(object, policy)
	if !current {
		return warnedPolicy{}, conflictRetry // it changes at this moment
	}
	return member, 0
}

// warnAgain computes the warnings of all policies, unless that was done a moment ago, or is done at this moment.
func (r *StatusReconciler) warnAgain() (wait time.Duration) {
	w := r.warned
	if wait := w.wait(); wait > 0 {
		return wait
	}
	if !w.computing.TryLock() {
		return conflictRetry
	}
	defer w.computing.Unlock()
	objects := r.stored.AllPolicies()
	members := make(map[types.NamespacedName]warnedPolicy, len(objects))
	policies := make([]rules.Policy, 0, len(objects))
	compiled := make([]*publish.Policy, 0, len(objects))
	for _, object := range objects {
		built, ok := r.built.Built(object)
		if !ok || built.Refused != "" {
			continue // its build asks again
		}
		members[policyobject.NameOf(object)] = warnedPolicy{
			uid: object.GetUID(), generation: object.GetGeneration(), resolved: built.Written,
		}
		policies = append(policies, built.Written)
		compiled = append(compiled, built)
	}
	for _, warning := range r.scopes.Warnings(policies) {
		name := types.NamespacedName{Namespace: warning.Policy.Namespace, Name: warning.Policy.Name}
		member := members[name]
		member.warnings = append(member.warnings, warning)
		members[name] = member
	}
	for policy, by := range overruled(r.scopes, compiled) {
		name := types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name}
		member := members[name]
		member.overruled = by
		members[name] = member
	}
	changed := w.replace(members)
	if r.queue != nil {
		for i, name := range changed {
			r.queue.AddWithOpts(priorityqueue.AddOpts{After: time.Duration(i) * changedInterval, Priority: new(sweep)},
				ctrl.Request{NamespacedName: name})
		}
	}
	return 0
}
