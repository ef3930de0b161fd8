package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

const (
	manyTarget     = 2 // status writes per applied policy
	manyTimeTarget = time.Minute
	rollTarget     = 50              // status writes while all replicas are replaced
	rollEditTarget = 2 * time.Second // from an edit during the replacement until it is Ready

	statuses = "registrationpolicies/status"
)

// many measures the cost of many policies in one namespace: when all are applied at once, and while the replicas are
// replaced.
func (m *measurement) many(ctx context.Context) error {
	const namespace = 1
	m.say("\nnot fenced, %d policies applied at once", m.policies)
	f, err := m.start(ctx, fleetOptions{namespaces: 3})
	if err != nil {
		return err
	}
	defer f.stop()
	before, begin := f.counts.snapshot(), time.Now()
	if err := m.cluster.apply(ctx, namespace, m.policies); err != nil {
		return err
	}
	applied := time.Since(begin)
	if err := m.cluster.awaitAllReady(ctx, f.namespaces); err != nil {
		return err
	}
	took := time.Since(begin)
	made := f.counts.since(before)
	writes := made.of("patch", statuses)
	within := writes <= manyTarget*m.policies && took <= manyTimeTarget
	m.say("  applied in %s; all Ready after %s; %.2f status writes per policy, %d Events (at most %d writes and %s: %s)",
		applied.Round(100*time.Millisecond), took.Round(100*time.Millisecond), float64(writes)/float64(m.policies),
		made.of("create", "events")+made.of("patch", "events"), manyTarget, manyTimeTarget, verdict(within))
	m.explain(within, made)
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	return m.roll(ctx, f)
}

// roll replaces the replicas one after another, with an edit during each replacement.
func (m *measurement) roll(ctx context.Context, f *fleet) error {
	const edited = 2
	before := f.counts.snapshot()
	var took []time.Duration
	for _, r := range f.replicas {
		r.stop(syscall.SIGTERM)
		if err := r.start(ctx); err != nil {
			return err
		}
		begin := time.Now()
		if err := m.cluster.edit(ctx, namespaceName(edited)); err != nil {
			return err
		}
		if err := m.cluster.awaitReady(ctx, namespaceName(edited)); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		if err := r.awaitReady(ctx); err != nil {
			return err
		}
	}
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	made := f.counts.since(before)
	writes := made.of("patch", statuses)
	within := writes <= rollTarget && slices.Max(took) <= rollEditTarget
	m.say("  %d replicas replaced: %d status writes; an edit meanwhile is Ready after %s (at most %d writes and %s: %s)",
		len(f.replicas), writes, rounded(took), rollTarget, rollEditTarget, verdict(within))
	m.explain(within, made)
	return nil
}

// apply creates policies in a namespace one after another, as kubectl does with a directory.
func (c *cluster) apply(ctx context.Context, namespace, policies int) error {
	for i := range policies {
		policy := &v1alpha1.RegistrationPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespaceName(namespace), Name: fmt.Sprintf("many-%04d", i)},
			Spec: v1alpha1.RegistrationPolicySpec{
				AppliesTo: &v1alpha1.AppliesTo{Sources: []v1alpha1.Source{v1alpha1.Source(source(namespace))}},
				Allow:     &v1alpha1.Allow{Domains: []v1alpha1.AllowDomain{v1alpha1.AllowDomain(fmt.Sprintf("many-%04d.example.com", i))}},
			},
		}
		if err := c.admin.Create(ctx, policy); client.IgnoreAlreadyExists(err) != nil {
			return err
		}
	}
	return nil
}
