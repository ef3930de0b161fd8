package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/rules"
)

// pollInterval is the interval at which the rules are checked for an edit. It is the error of the measurement.
const pollInterval = 100 * time.Microsecond

// sample has the times of one edit, measured from before it is sent.
type sample struct {
	informed time.Duration // until the bare informer's handler runs
	inForce  time.Duration // until the rules decide by the edit
}

// delivery is an event of the bare informer.
type delivery struct {
	generation int64
	at         time.Time
}

func (c *cluster) deliver(ctx context.Context, updated any) {
	d := delivery{at: time.Now()}
	object := updated.(*unstructured.Unstructured)
	if object.GetName() != edited {
		return
	}
	d.generation = object.GetGeneration()
	select {
	case c.seen <- d:
	case <-ctx.Done():
	}
}

// measure makes an edit and measures it.
func (c *cluster) measure(ctx context.Context, edit int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, editDeadline)
	defer cancel()
	inForce := make(chan error, 1)
	patch := fmt.Sprintf(`{"spec":{"allow":{"domains":[%q]}}}`, domain(edit))

	var inForceAt time.Time
	begin := time.Now()
	go func() {
		err := c.await(ctx, domain(edit))
		inForceAt = time.Now()
		inForce <- err
	}()
	object, err := c.client.Patch(ctx, edited, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return sample{}, err
	}
	if err := <-inForce; err != nil {
		return sample{}, err
	}
	for {
		select {
		case d := <-c.seen:
			if d.generation == object.GetGeneration() {
				return sample{informed: d.at.Sub(begin), inForce: inForceAt.Sub(begin)}, nil
			}
		case <-ctx.Done():
			return sample{}, fmt.Errorf("the informer did not deliver the edit: %w", context.Cause(ctx))
		}
	}
}

// await waits until the rules in force allow an address at domain.
func (c *cluster) await(ctx context.Context, domain string) error {
	call := rules.Call{
		Shape:   rules.SignUp,
		Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: "jo@" + domain}},
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if snapshot, err := c.store.Load(); err == nil {
			if decision := snapshot.Decide(call); decision.Outcome == rules.Allow {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the edit did not come into force: %w", context.Cause(ctx))
		}
	}
}

// domain returns the domain that the edited policy allows after an edit. -1 is the state before the first edit.
func domain(edit int) string { return fmt.Sprintf("edit-%d.example.com", edit+1) }
