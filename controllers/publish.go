package controllers

import (
	"slices"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/rules"
)

// publisher bounds policies to the scopes of their namespaces, compiles them, and puts them in force.
type publisher struct {
	scopes  Scopes
	store   *rules.Store
	metrics *Metrics
	logger  logr.Logger
}

// publish cannot fail: everything that could has been done before. It returns what could not be used.
func (p *publisher) publish(policies []rules.Policy) []rules.Rejection {
	began := time.Now()
	within, rejections := p.scopes.BoundAll(policies)
	snapshot, rejected := rules.Compile(within)
	rejections = append(rejections, rejected...)
	slices.SortStableFunc(rejections, func(a, b rules.Rejection) int { return a.Policy.Compare(b.Policy) })
	before, err := p.store.Load()
	p.store.Publish(snapshot)
	p.metrics.published(rejections, time.Since(began))

	if err == nil && before.Digest() == snapshot.Digest() {
		return rejections
	}
	p.logger.Info("Rules published", "digest", snapshot.Digest(), "policies", len(within), "rejections", len(rejections))
	for i := range policies {
		if why := policies[i].NotUnderstood; why != "" {
			p.logger.Info("Policy not understood", "policy", policies[i].String(), "why", why)
		}
	}
	return rejections
}
