package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	// readyEditWithin is how long it may take until an edit is ready, while replicas are frozen or cut off one after another: one that is
	// not fenced counts for as long as it is cut off.
	readyEditWithin = 2*script.LongestCut + outage
	// wellWithin is how long a fleet may take to have all of its replicas ready while none is hit.
	wellWithin = time.Minute
	// toldWithin is how long status may take to say that policies are more than their budget.
	toldWithin = time.Minute
	// floodPrefix begins the names of policies of a flood, and floodLines is how many lines its list has: more than a tenant's budget.
	floodPrefix = "flood-"
	floodLines  = 20_000
)

// floodPolicies is how many policies of a flood are more than a tenant's budget, whatever is in them.
var floodPolicies = tenantBudget/int(budget.PolicyCost(0)) + 1

// Tenancy is what tenants' namespaces are made of.
type Tenancy struct {
	client client.Client
	role   *rbacv1.Role

	mu         sync.Mutex
	unreadable map[string][]history.Span
}

// hide notes that a namespace may be unreadable from now on, show that it no longer is.
func (t *Tenancy) hide(namespace string, now history.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unreadable[namespace] = append(t.unreadable[namespace], history.Span{Begin: now, End: history.Never})
}

func (t *Tenancy) show(namespace string, now history.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := t.unreadable[namespace]
	spans[len(spans)-1].End = now
}

// Tenants makes faults of a tenant, one after another, until the deadline of ctx. Each is made once, however slow the machine is; after
// that none is begun that would outlast it.
func (f *Faults) Tenants(ctx context.Context, namespace string, steps iter.Seq[script.Step]) {
	author := f.authorOf(namespace)
	for step := range steps {
		sleep(ctx, step.Rest)
		deadline, _ := ctx.Deadline()
		if errors.Is(ctx.Err(), context.Canceled) || f.made(step.Fault) && time.Until(deadline) < step.Lasts {
			return
		}
		f.note(step, namespace)
		f.setHit(author, true)
		if err := f.hitTenant(context.WithoutCancel(ctx), step, author); err != nil {
			f.fail("%s of %s: %v", step.Fault, namespace, err)
		}
		f.setHit(author, false)
		f.timeline.Note("%s of %s is over", step.Fault, namespace)
	}
}

// setHit notes whether a fault is made of a tenant now.
func (f *Faults) setHit(author *Author, hit bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hitTenants[author] = hit
}

func (f *Faults) isHit(author *Author) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hitTenants[author]
}

func (f *Faults) made(fault script.Fault) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[fault] > 0
}

func (f *Faults) authorOf(namespace string) *Author {
	for _, author := range f.authors {
		if author.namespace == namespace {
			return author
		}
	}
	return nil
}

// hitTenant makes one fault of a tenant, and undoes it.
func (f *Faults) hitTenant(ctx context.Context, step script.Step, author *Author) error {
	switch step.Fault {
	case script.TakeRights:
		return f.takeRights(ctx, step, author)
	case script.DeleteNamespace:
		return f.deleteNamespace(ctx, step, author)
	case script.Flood:
		return f.flood(ctx, step, author)
	default:
		return fmt.Errorf("no such fault: %s", step.Fault)
	}
}

// takeRights takes the operators' rights in a namespace away. They come back once another replica was started, all replicas were ready, and
// so were late edits in other namespaces.
func (f *Faults) takeRights(ctx context.Context, step script.Step, author *Author) error {
	begin := f.timeline.Now()
	if err := f.unbind(ctx, author.namespace); err != nil {
		return err
	}
	err := f.killOne(ctx, step.Flavour)
	sleep(ctx, step.Lasts-(f.timeline.Now()-begin))
	late := f.timeline.Now()
	return errors.Join(err, f.awaitWell(ctx), f.awaitReadyEdits(ctx, late), f.bind(ctx, author.namespace))
}

// killOne kills a replica as soon as no other is hit.
func (f *Faults) killOne(ctx context.Context, number int) error {
	f.hitting.Lock()
	defer f.hitting.Unlock()
	pods := f.all()
	target := pods[number%len(pods)]
	if !f.settle(ctx, target) {
		return fmt.Errorf("%s could not be killed: the others were not ready", target.Name)
	}
	f.timeline.Note("%s is killed meanwhile", target.Name)
	target.Kill()
	return nil
}

// awaitWell returns once every replica is ready while none is hit, and gets calls for a moment.
func (f *Faults) awaitWell(ctx context.Context) error {
	f.hitting.Lock()
	defer f.hitting.Unlock()
	for begin := time.Now(); ; sleep(ctx, lookEvery) {
		unready := slices.DeleteFunc(f.all(), (*fleet.Pod).Ready)
		if len(unready) == 0 {
			sleep(ctx, 2*settled)
			return nil
		}
		if time.Since(begin) > wellWithin {
			return fmt.Errorf("%s is not ready within %s", unready[0].Name, wellWithin)
		}
	}
}

// awaitReadyEdits returns once edits that were made after a moment were seen to be ready in every namespace, but for those of
// tenants that are hit.
func (f *Faults) awaitReadyEdits(ctx context.Context, since history.Moment) error {
	for begin := time.Now(); ; sleep(ctx, lookEvery) {
		waiting := slices.DeleteFunc(slices.Clone(f.authors), func(author *Author) bool {
			return f.isHit(author) || f.watcher.sawReady(author.storedSince(since))
		})
		if len(waiting) == 0 {
			return nil
		}
		if time.Since(begin) > readyEditWithin {
			return fmt.Errorf("no edit in %s was ready within %s", waiting[0].namespace, readyEditWithin)
		}
	}
}

// unbind takes the operators' rights in a namespace away, bind gives them back.
func (f *Faults) unbind(ctx context.Context, namespace string) error {
	f.tenancy.hide(namespace, f.timeline.Now())
	return persist(ctx, func(ctx context.Context) error {
		return client.IgnoreNotFound(f.tenancy.client.Delete(ctx, bindingIn(namespace, f.tenancy.role)))
	})
}

func (f *Faults) bind(ctx context.Context, namespace string) error {
	err := f.put(ctx, bindingIn(namespace, f.tenancy.role))
	f.tenancy.show(namespace, f.timeline.Now())
	return err
}

// deleteNamespace deletes a namespace as a cluster does, and makes it again with other policies and lists.
func (f *Faults) deleteNamespace(ctx context.Context, step script.Step, author *Author) error {
	order := rand.New(rand.NewPCG(uint64(step.Flavour), 0))
	return author.exclusively(func() error {
		if err := f.terminate(ctx, order, author); err != nil {
			return err
		}
		f.timeline.Note("%s is gone", author.namespace)
		since := f.timeline.Now()
		sleep(ctx, step.Lasts)
		return errors.Join(f.awaitReadyEdits(ctx, since), f.remake(ctx, order, author))
	})
}

// terminate deletes a namespace. What is in it goes one after another, in whatever order, as the namespace controller, which a control
// plane without controllers lacks, would have it; then the namespace itself.
func (f *Faults) terminate(ctx context.Context, order *rand.Rand, author *Author) error {
	// No state on the way was there before: see changePolicies.
	if err := author.writePolicy(ctx, policyName(0)); err != nil {
		return err
	}
	namespace, c := namespaceObject(author.namespace), f.tenancy.client
	remove := func(object client.Object) func() error {
		return func() error {
			return persist(ctx, func(ctx context.Context) error { return client.IgnoreNotFound(c.Delete(ctx, object)) })
		}
	}
	if err := remove(namespace)(); err != nil {
		return err
	}
	contents := []func() error{
		func() error { return f.unbind(ctx, author.namespace) },
		remove(roleIn(author.namespace, f.tenancy.role)),
		func() error {
			return persist(ctx, func(ctx context.Context) error {
				return c.DeleteAllOf(ctx, &corev1.Event{}, client.InNamespace(author.namespace))
			})
		},
	}
	for i := range author.names {
		contents = append(contents, func() error { return author.removePolicy(ctx, policyName(i)) })
	}
	for i := range listNames {
		contents = append(contents, func() error { return author.removeList(ctx, i) })
	}
	if err := inSomeOrder(ctx, order, contents); err != nil {
		return err
	}
	return persist(ctx, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(namespace), namespace); err != nil {
			return client.IgnoreNotFound(err)
		}
		namespace.Spec.Finalizers = nil
		return client.IgnoreNotFound(c.SubResource("finalize").Update(ctx, namespace)) //nolint:misspell // Kubernetes' spelling
	})
}

// remake makes a namespace again, with the operators' rights, policies and lists in whatever order.
func (f *Faults) remake(ctx context.Context, order *rand.Rand, author *Author) error {
	if err := f.put(ctx, namespaceObject(author.namespace)); err != nil {
		return err
	}
	contents := []func() error{
		func() error { return f.put(ctx, roleIn(author.namespace, f.tenancy.role)) },
		func() error { return f.bind(ctx, author.namespace) },
	}
	for i := range author.names {
		contents = append(contents, func() error { return author.writePolicy(ctx, policyName(i)) })
	}
	for i := range listNames {
		contents = append(contents, func() error { return author.writeList(ctx, i) })
	}
	return inSomeOrder(ctx, order, contents)
}

// inSomeOrder calls functions one after another, with a moment between: replicas see some of the states on the way.
func inSomeOrder(ctx context.Context, order *rand.Rand, calls []func() error) error {
	const most = 200 * time.Millisecond
	order.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
	for _, call := range calls {
		if err := call(); err != nil {
			return err
		}
		sleep(ctx, time.Duration(order.Int64N(int64(most))))
	}
	return nil
}

// flood stores a list that is more than a tenant's budget, then policies that are, each until status says so, and takes them away once
// edits in all other namespaces were ready.
func (f *Faults) flood(ctx context.Context, step script.Step, author *Author) error {
	return author.exclusively(func() error {
		// A list beyond its budget counts as one that is missing: this one must not have been so.
		err := errors.Join(author.writeList(ctx, allowList), author.writeList(ctx, denyList))
		err = errors.Join(err, f.writeFlooded(ctx, author))
		author.changes++
		err = errors.Join(err, author.putList(ctx, denyList, bigList(author.changes, floodLines)), f.awaitTold(ctx, author))
		f.timeline.Note("%s has a list beyond its budget", author.namespace)
		sleep(ctx, step.Lasts/2)
		for i := range floodPolicies {
			author.changes++
			err = errors.Join(err, author.putPolicy(ctx, floodName(i), floodSpec(author.scope, author.changes)))
		}
		err = errors.Join(err, f.writeFlooded(ctx, author), f.awaitTold(ctx, author))
		f.timeline.Note("%s has policies beyond its budget", author.namespace)
		since := f.timeline.Now()
		sleep(ctx, step.Lasts/2)
		err = errors.Join(err, f.awaitReadyEdits(ctx, since))
		for i := range floodPolicies {
			err = errors.Join(err, author.removePolicy(ctx, floodName(i)))
		}
		return errors.Join(err, author.writeList(ctx, denyList))
	})
}

func floodName(i int) string { return fmt.Sprintf("%s%03d", floodPrefix, i) }

// writeFlooded writes the first policy anew, so that nothing but its namespace's budget keeps it from being accepted. No state after it
// was there before.
func (f *Faults) writeFlooded(ctx context.Context, author *Author) error {
	author.changes++
	spec := randomSpec(author.chance, author.scope, true, author.changes)
	spec.AppliesTo = &v1alpha1.AppliesTo{Sources: sourcesOf(author.scope)}
	return author.putPolicy(ctx, policyName(0), spec)
}

// awaitTold returns once the status of the newest policy of a namespace says that it is more than the budget.
func (f *Faults) awaitTold(ctx context.Context, author *Author) error {
	newest := author.newest()
	for begin := time.Now(); !f.watcher.sawOverBudget(newest); sleep(ctx, lookEvery) {
		if time.Since(begin) > toldWithin {
			return fmt.Errorf("status does not say within %s that %v is more than the budget of its namespace", toldWithin, newest)
		}
	}
	return nil
}

// put creates an object.
func (f *Faults) put(ctx context.Context, object client.Object) error {
	return persist(ctx, func(ctx context.Context) error {
		if err := f.tenancy.client.Create(ctx, object); !apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil // an answer was lost on its way
	})
}

// persist calls the API server until it takes what it is told.
func persist(ctx context.Context, call func(ctx context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(ctx, apiTimeout)
		err := call(once)
		cancel()
		if err == nil || apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
			return err
		}
		sleep(ctx, apiRetry)
	}
}
