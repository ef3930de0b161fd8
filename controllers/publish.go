package controllers

import (
	"slices"
	"sync"
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
	inForce *inForce        // told of what is published; nil where nobody asks
	stored  *StoredSnapshot // nil if none is kept

	mu sync.Mutex // held while anything is published
}

// publish cannot fail: everything that could has been done before. It returns what could not be used. The objects are those that the
// policies were made of; nil where snapshots are not kept.
func (p *publisher) publish(policies []rules.Policy, from *builtFrom) []rules.Rejection {
	p.mu.Lock()
	defer p.mu.Unlock()
	began := time.Now()
	snapshot, rejections := p.compile(policies)
	before, err := p.store.Load()
	p.stored.giveWay(snapshot.Digest())
	p.store.Publish(snapshot)
	if from != nil {
		p.inForce.set(snapshot.Digest(), from.publishedThrough)
	}
	p.stored.keep(snapshot.Digest(), from)
	p.metrics.published(rejections, time.Since(began))
	p.stored.leave()

	if err == nil && before.Digest() == snapshot.Digest() {
		return rejections
	}
	p.logger.Info("Rules published", "digest", snapshot.Digest(), "policies", len(snapshot.Policies()), "rejections", len(rejections))
	for i := range policies {
		if why := policies[i].NotUnderstood; why != "" {
			p.logger.Info("Policy not understood", "policy", policies[i].String(), "why", why)
		}
	}
	return rejections
}

// compile returns the snapshot of policies within their scopes, and what could not be used, by policy.
func (p *publisher) compile(policies []rules.Policy) (*rules.Snapshot, []rules.Rejection) {
	within, rejections := p.scopes.BoundAll(policies)
	snapshot, rejected := rules.Compile(within)
	rejections = append(rejections, rejected...)
	slices.SortStableFunc(rejections, func(a, b rules.Rejection) int { return a.Policy.Compare(b.Policy) })
	return snapshot, rejections
}

// publishStored puts the snapshot in force that the start found, if there is one and nothing else is in force.
func (p *publisher) publishStored(s *StoredSnapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := s.found
	if _, err := p.store.Load(); found == nil || err == nil {
		return
	}
	written := found.file.Written
	s.mu.Lock()
	s.inForce = &written
	s.mu.Unlock()
	s.metrics.inForce(written)
	p.metrics.rejected.Set(float64(len(found.rejections)))
	p.store.Publish(found.snapshot)
	p.inForce.set(found.snapshot.Digest(), found.file.PublishedThrough)
	p.logger.Info("Stored snapshot is in force: the API server has not answered", "digest", found.snapshot.Digest(),
		"policies", len(found.snapshot.Policies()), "rejections", len(found.rejections), "publishedThrough", found.file.PublishedThrough,
		"written", written, "age", time.Since(written).Round(time.Second).String())
}
