package controllers

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"registrationpolicy.dev/operator/rules"
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

// warnedSet is what looks wrong in all policies together. Some of a policy's warnings are about others, so that they
// are computed for all at once, and a change to one may be the end of a warning of another. It is used by one goroutine
// at a time.
type warnedSet struct {
	at      time.Time
	members map[types.NamespacedName]warnedPolicy
	// changed is told of policies that have other warnings than before; nil where nobody has to know.
	changed func(ctrl.Request)
}

// warnedPolicy is a policy in the version of which the warnings are known.
type warnedPolicy struct {
	uid        types.UID
	generation int64
	resolved   rules.Policy
	warnings   []rules.Warning
}

// warnings returns what looks wrong in a policy which has its lists, as its object says it, alone and together with all
// others. It may say how long to wait before it can be told.
func (r *StatusReconciler) warnings(
	object *unstructured.Unstructured, policy *rules.Policy,
) (_ []rules.Warning, wait time.Duration) {
	name := nameOf(object)
	member, found := r.warned.members[name]
	if !found || !member.isOf(object) || !sameLists(&member.resolved, policy) {
		if wait := r.warnAgain(); wait > 0 {
			return nil, wait
		}
	}
	return r.warned.members[name].warnings, 0
}

func (w *warnedPolicy) isOf(object *unstructured.Unstructured) bool {
	return w.uid == object.GetUID() && w.generation == object.GetGeneration()
}

// warnAgain computes the warnings of all policies, unless it did so a moment ago.
func (r *StatusReconciler) warnAgain() (wait time.Duration) {
	w := &r.warned
	if wait := warningInterval - time.Since(w.at); wait > 0 && len(w.members) > warnedAtOnce {
		return wait
	}
	objects := r.stored.AllPolicies()
	members := make(map[types.NamespacedName]warnedPolicy, len(objects))
	policies := make([]rules.Policy, 0, len(objects))
	for _, object := range objects {
		built, ok := r.built.Built(object)
		if !ok {
			continue // its build asks again
		}
		members[nameOf(object)] = warnedPolicy{uid: object.GetUID(), generation: object.GetGeneration(), resolved: built.Written}
		policies = append(policies, built.Written)
	}
	for _, warning := range allWarnings(r.scopes, policies) {
		name := types.NamespacedName{Namespace: warning.Policy.Namespace, Name: warning.Policy.Name}
		member := members[name]
		member.warnings = append(member.warnings, warning)
		members[name] = member
	}
	before := w.members
	w.members, w.at = members, time.Now()
	for name, member := range members {
		if known, found := before[name]; w.changed != nil && found && !slices.Equal(known.warnings, member.warnings) {
			w.changed(ctrl.Request{NamespacedName: name})
		}
	}
	return 0
}

// allWarnings returns what looks wrong in policies that have their lists, as far as the scopes of their namespaces let
// them take part: of each policy, first what there is to say of its lists.
func allWarnings(scopes Scopes, policies []rules.Policy) []rules.Warning {
	within, _ := scopes.BoundAll(policies)
	var warnings []rules.Warning
	for i := range within {
		warnings = append(warnings, listWarnings(&within[i])...)
	}
	warnings = append(warnings, rules.Warnings(within)...)
	slices.SortStableFunc(warnings, func(a, b rules.Warning) int { return a.Policy.Compare(b.Policy) })
	return warnings
}
