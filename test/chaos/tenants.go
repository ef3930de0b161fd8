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

	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/chaos/policies"
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	// statusWithin is how long a condition may take to follow an edit while replicas are killed, frozen or cut off one
	// after another. A replica without --fence-after delays Ready for as long as it is cut off. Each leader that is killed
	// before it writes delays every condition by one election.
	statusWithin = 2*script.LongestCut + outage
	// healthyWithin is how long all replicas may take to become ready while none has a fault.
	healthyWithin = time.Minute
)

// Tenancy manages the operator's rights in the tenants' namespaces, and records when replicas could not read them.
type Tenancy struct {
	client client.Client
	role   *rbacv1.Role

	mu         sync.Mutex
	unreadable map[string][]history.Span
}

// markUnreadable records that a namespace may be unreadable from now on.
func (t *Tenancy) markUnreadable(namespace string, now history.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unreadable[namespace] = append(t.unreadable[namespace], history.Span{Begin: now, End: history.Never})
}

// markReadable records that a namespace is readable again.
func (t *Tenancy) markReadable(namespace string, now history.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := t.unreadable[namespace]
	spans[len(spans)-1].End = now
}

// Tenants makes the faults of steps in a tenant's namespace, one at a time, until the deadline of ctx. It makes each
// kind of fault at least once, on a slow machine even after the deadline. After that, it begins no fault that would end
// after the deadline.
func (f *Faults) Tenants(ctx context.Context, namespace string, steps iter.Seq[script.Step]) {
	author := f.authorOf(namespace)
	for step := range steps {
		fleet.Sleep(ctx, step.Delay)
		deadline, _ := ctx.Deadline()
		if errors.Is(ctx.Err(), context.Canceled) || f.made(step.Fault) && time.Until(deadline) < step.Duration {
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

// setHit records whether a tenant currently has a fault.
func (f *Faults) setHit(author *policies.Author, hit bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hitTenants[author] = hit
}

func (f *Faults) isHit(author *policies.Author) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hitTenants[author]
}

func (f *Faults) made(fault script.Fault) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[fault] > 0
}

func (f *Faults) authorOf(namespace string) *policies.Author {
	for _, author := range f.authors {
		if author.Namespace == namespace {
			return author
		}
	}
	return nil
}

// hitTenant makes a fault of a tenant, and undoes it.
func (f *Faults) hitTenant(ctx context.Context, step script.Step, author *policies.Author) error {
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

// takeRights removes the operator's rights in a namespace, and kills a replica, which has then never read the
// namespace. It restores the rights when all replicas are ready, and edits in the other namespaces have become Ready.
func (f *Faults) takeRights(ctx context.Context, step script.Step, author *policies.Author) error {
	begin := f.timeline.Now()
	if err := f.unbind(ctx, author.Namespace); err != nil {
		return err
	}
	err := f.killOne(ctx, step.Variant)
	fleet.Sleep(ctx, step.Duration-(f.timeline.Now()-begin))
	late := f.timeline.Now()
	return errors.Join(err, f.awaitHealthy(ctx), f.awaitReadyEdits(ctx, late), f.bind(ctx, author.Namespace))
}

// killOne kills the replica that number selects, as soon as no other replica has a fault.
func (f *Faults) killOne(ctx context.Context, number int) error {
	f.hitting.Lock()
	defer f.hitting.Unlock()
	pods := f.all()
	target := pods[number%len(pods)]
	if !f.settle(ctx, target) {
		return fmt.Errorf("%s could not be killed: the others were not ready", target.Name)
	}
	f.timeline.Note("%s is killed", target.Name)
	target.Kill()
	return nil
}

// awaitHealthy waits until all replicas are ready. In that time, and for a moment after it in which they get calls, no
// replica has a fault.
func (f *Faults) awaitHealthy(ctx context.Context) error {
	f.hitting.Lock()
	defer f.hitting.Unlock()
	for begin := time.Now(); ; fleet.Sleep(ctx, pollInterval) {
		unready := slices.DeleteFunc(f.all(), (*fleet.Pod).Ready)
		if len(unready) == 0 {
			fleet.Sleep(ctx, 2*settled)
			return nil
		}
		if time.Since(begin) > healthyWithin {
			return fmt.Errorf("%s is not ready within %s", unready[0].Name, healthyWithin)
		}
	}
}

// awaitReadyEdits waits until an edit made after a moment is Ready in every namespace, except those of tenants with a
// fault.
func (f *Faults) awaitReadyEdits(ctx context.Context, since history.Moment) error {
	for begin := time.Now(); ; fleet.Sleep(ctx, pollInterval) {
		waiting := slices.DeleteFunc(slices.Clone(f.authors), func(author *policies.Author) bool {
			return f.isHit(author) || f.watcher.sawReady(author.StoredSince(since))
		})
		if len(waiting) == 0 {
			return nil
		}
		if time.Since(begin) > statusWithin {
			return fmt.Errorf("no edit in %s was ready within %s", waiting[0].Namespace, statusWithin)
		}
	}
}

// unbind removes the operator's rights in a namespace, and bind restores them.
func (f *Faults) unbind(ctx context.Context, namespace string) error {
	f.tenancy.markUnreadable(namespace, f.timeline.Now())
	return fleet.Retry(ctx, func(ctx context.Context) error {
		return client.IgnoreNotFound(f.tenancy.client.Delete(ctx, policies.BindingIn(namespace, f.tenancy.role)))
	})
}

func (f *Faults) bind(ctx context.Context, namespace string) error {
	err := f.put(ctx, policies.BindingIn(namespace, f.tenancy.role))
	f.tenancy.markReadable(namespace, f.timeline.Now())
	return err
}

// deleteNamespace deletes a namespace as a cluster does, and creates it again with other policies and lists.
func (f *Faults) deleteNamespace(ctx context.Context, step script.Step, author *policies.Author) error {
	order := rand.New(rand.NewPCG(uint64(step.Variant), 0))
	return author.Exclusively(func() error {
		if err := f.terminate(ctx, order, author); err != nil {
			return err
		}
		f.timeline.Note("%s is gone", author.Namespace)
		since := f.timeline.Now()
		fleet.Sleep(ctx, step.Duration)
		return errors.Join(f.awaitReadyEdits(ctx, since), f.remake(ctx, order, author))
	})
}

// terminate deletes a namespace as the namespace controller would: first its objects, in random order, then the
// namespace.
func (f *Faults) terminate(ctx context.Context, order *rand.Rand, author *policies.Author) error {
	if err := author.WriteFirst(ctx); err != nil {
		return err
	}
	namespace, c := policies.NamespaceObject(author.Namespace), f.tenancy.client
	remove := func(object client.Object) func() error {
		return func() error {
			return fleet.Retry(ctx, func(ctx context.Context) error { return client.IgnoreNotFound(c.Delete(ctx, object)) })
		}
	}
	if err := remove(namespace)(); err != nil {
		return err
	}
	contents := []func() error{
		func() error { return f.unbind(ctx, author.Namespace) },
		remove(policies.RoleIn(author.Namespace, f.tenancy.role)),
		func() error {
			return fleet.Retry(ctx, func(ctx context.Context) error {
				return c.DeleteAllOf(ctx, &corev1.Event{}, client.InNamespace(author.Namespace))
			})
		},
	}
	contents = append(contents, author.Removals(ctx)...)
	if err := inRandomOrder(ctx, order, contents); err != nil {
		return err
	}
	return fleet.Retry(ctx, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(namespace), namespace); err != nil {
			return client.IgnoreNotFound(err)
		}
		namespace.Spec.Finalizers = nil
		return client.IgnoreNotFound(c.SubResource("finalize").Update(ctx, namespace)) //nolint:misspell // Kubernetes' spelling
	})
}

// remake creates a namespace again, with the operator's rights, policies and lists in random order.
func (f *Faults) remake(ctx context.Context, order *rand.Rand, author *policies.Author) error {
	if err := f.put(ctx, policies.NamespaceObject(author.Namespace)); err != nil {
		return err
	}
	contents := []func() error{
		func() error { return f.put(ctx, policies.RoleIn(author.Namespace, f.tenancy.role)) },
		func() error { return f.bind(ctx, author.Namespace) },
	}
	contents = append(contents, author.Writes(ctx)...)
	return inRandomOrder(ctx, order, contents)
}

// inRandomOrder calls functions in random order, with pauses, so that replicas see some of the states in between.
func inRandomOrder(ctx context.Context, order *rand.Rand, calls []func() error) error {
	const maxPause = 200 * time.Millisecond
	order.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
	for _, call := range calls {
		if err := call(); err != nil {
			return err
		}
		fleet.Sleep(ctx, time.Duration(order.Int64N(int64(maxPause))))
	}
	return nil
}

// flood stores a list that exceeds a tenant's memory budget, and then so many policies that they exceed it too. Each
// time it waits until a policy's status has the reason OverBudget. It removes them when edits in all other namespaces
// have become Ready.
func (f *Faults) flood(ctx context.Context, step script.Step, author *policies.Author) error {
	return author.Exclusively(func() error {
		err := errors.Join(author.StoreBigList(ctx), f.awaitRefusal(ctx, author))
		f.timeline.Note("%s has a list beyond its budget", author.Namespace)
		fleet.Sleep(ctx, step.Duration/2)
		err = errors.Join(err, author.StoreFlood(ctx), f.awaitRefusal(ctx, author))
		f.timeline.Note("%s has policies beyond its budget", author.Namespace)
		since := f.timeline.Now()
		fleet.Sleep(ctx, step.Duration/2)
		return errors.Join(err, f.awaitReadyEdits(ctx, since), author.RemoveFlood(ctx))
	})
}

// awaitRefusal waits until the status of the policy that was written last has the reason OverBudget.
func (f *Faults) awaitRefusal(ctx context.Context, author *policies.Author) error {
	newest := author.Newest()
	for begin := time.Now(); !f.watcher.sawOverBudget(newest); fleet.Sleep(ctx, pollInterval) {
		if time.Since(begin) > statusWithin {
			return fmt.Errorf("the status of %v does not have the reason OverBudget within %s", newest, statusWithin)
		}
	}
	return nil
}

// put creates an object.
func (f *Faults) put(ctx context.Context, object client.Object) error {
	return fleet.Retry(ctx, func(ctx context.Context) error {
		if err := f.tenancy.client.Create(ctx, object); !apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil // an earlier attempt succeeded and its response was lost
	})
}
