package publish

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/rules"
)

// BoundFunc returns what of a policy is within the scope of its namespace, and what is outside. Not ok means that nothing is left.
type BoundFunc func(rules.Policy) (within rules.Policy, outside []rules.Rejection, ok bool)

// Keeper keeps the rules in force for a later start. Its methods are called by the publisher, one at a time.
type Keeper interface {
	// Invalidate removes what is kept, unless it has this digest. It is called before other rules come into force.
	Invalidate(digest string)
	// Save keeps the policies in force with their lists, and up to which resourceVersion of each namespace they are what it says. It
	// is called after they have come into force.
	Save(digest string, synced map[string]string, policies []*Policy)
	// Deactivate says that rules of the API server are in force.
	Deactivate()
}

// Options are what a Publisher is made from.
type Options struct {
	// Namespaces are those that are published together; none where [Publisher.PublishAll] is used.
	Namespaces []string
	// Bound bounds policies to the scope of their namespace; nil bounds none.
	Bound BoundFunc
	// Store is where rules are put in force.
	Store *rules.Store
	// Metrics may be nil.
	Metrics *Metrics
	// Logger takes a line when other rules come into force, and one for each policy that is not understood.
	Logger logr.Logger
}

// Publisher puts the rules of all namespaces in force together. All methods may be called at the same time, but those for one namespace
// one at a time.
type Publisher struct {
	options Options

	mu     sync.Mutex // held while anything is published
	keeper Keeper     // nil if nothing is kept
	parts  map[string]*part
	// snapshot is what is in force, built from parts; nil before the first.
	snapshot   *rules.Snapshot
	unreadable map[string]bool
	inForce    InForce
	changed    chan struct{}
}

// part is what a namespace contributes.
type part struct {
	build Build
	// unreadable says that the namespace was never read: its scope is not enforceable.
	unreadable bool
}

// Build is what one reading of a namespace came to.
type Build struct {
	// Policies are its policies.
	Policies []*Policy
	// Synced is the resourceVersion up to which they reflect what the API server has.
	Synced string
}

// Policy is a compiled policy. It is immutable.
type Policy struct {
	// Written is the policy with the lists that it names.
	Written rules.Policy
	// Refused says why all policies of its namespace are not in force, which it then stands for; "" where they are.
	Refused string
	// Compiled is what of it is within the scope of its namespace; nil if nothing is.
	Compiled *rules.Compiled
	// Rejections are the parts that are not in force: those outside of the scope first.
	Rejections []rules.Rejection
}

// InForce is what is decided by. The zero value says that nothing is in force yet.
type InForce struct {
	// Digest is that of the snapshot.
	Digest string
	// Synced is, for each namespace that was read, the resourceVersion up to which the rules reflect its policies and lists. It must
	// not be changed.
	Synced map[string]string
	// Unreadable are the namespaces that the API server does not let this replica read now, sorted; their last known rules stay in
	// force.
	Unreadable []string
}

// New returns a publisher that has published nothing.
func New(options Options) *Publisher {
	p := &Publisher{options: options, parts: map[string]*part{}, unreadable: map[string]bool{}, changed: make(chan struct{})}
	for _, namespace := range options.Namespaces {
		p.parts[namespace] = nil // not known yet
	}
	return p
}

// KeepIn has the rules in force kept. It is called before anything is published.
func (p *Publisher) KeepIn(keeper Keeper) { p.keeper = keeper }

// Compile compiles a policy that has its lists, within the scope of its namespace.
func (p *Publisher) Compile(policy rules.Policy) *Policy {
	compiled := &Policy{Written: policy}
	if policy.NotUnderstood != "" {
		p.options.Logger.Error(nil, "Policy not understood", "policy", policy.String(), "why", policy.NotUnderstood)
	}
	within, ok := policy, true
	if p.options.Bound != nil {
		within, compiled.Rejections, ok = p.options.Bound(policy)
	}
	if ok {
		compiled.Compiled = rules.CompilePolicy(within)
		compiled.Rejections = append(compiled.Rejections, compiled.Compiled.Rejections()...)
	}
	return compiled
}

// Publish puts the policies of a namespace in force, once every namespace was read or is known to be unreadable. It cannot fail:
// everything that could has been done before.
func (p *Publisher) Publish(namespace string, build Build) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts[namespace] = &part{build: build}
	p.publish()
}

// Advance notes that what is in force of a namespace reflects a later version: none of its objects has changed.
func (p *Publisher) Advance(namespace, synced string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.parts[namespace]; known != nil && !known.unreadable && known.build.Synced != synced {
		known.build.Synced = synced
		if p.snapshot != nil {
			p.setInForce()
		}
	}
}

// SetReadable notes that a namespace can be read again. What it says comes by Publish.
func (p *Publisher) SetReadable(namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unreadable[namespace] {
		delete(p.unreadable, namespace)
		p.tell(InForce{Digest: p.inForce.Digest, Synced: p.inForce.Synced})
	}
}

// SetUnreadable notes that a namespace cannot be read. What was read of it stays in force. Where it was never read, the calls in its
// scope are denied, and those of all others decided, once one of these was read; but without a bound it could deny every call, and
// nothing is published before it is read.
func (p *Publisher) SetUnreadable(namespace, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unreadable[namespace] = true
	defer func() { p.tell(InForce{Digest: p.inForce.Digest, Synced: p.inForce.Synced}) }()
	if p.parts[namespace] != nil || p.options.Bound == nil {
		return
	}
	all := AllOf(namespace, why)
	within, _, ok := p.options.Bound(all)
	switch {
	case !ok:
		p.parts[namespace] = &part{unreadable: true}
	case len(within.Sources) == 0:
		return
	default:
		p.parts[namespace] = &part{build: Build{Policies: []*Policy{p.Compile(all)}}, unreadable: true}
	}
	p.publish()
}

// Refuse returns what stands for all policies of a namespace which are beyond its budget: the calls in its scope are denied.
func (p *Publisher) Refuse(namespace, why string) *Policy {
	refused := p.Compile(AllOf(namespace, why))
	refused.Refused = why
	return refused
}

// AllOf returns the policy that stands for all policies of a namespace which are not in force: the calls in its scope are denied. No
// object can have its name.
func AllOf(namespace, why string) rules.Policy {
	return rules.Policy{PolicyName: rules.PolicyName{Namespace: namespace, Name: "*"}, NotUnderstood: why}
}

// Pending returns the namespaces that keep the first rules from coming into force, sorted; none once rules are in force.
func (p *Publisher) Pending() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pending []string
	for namespace, known := range p.parts {
		if known == nil || p.snapshot == nil && known.unreadable {
			pending = append(pending, namespace)
		}
	}
	slices.Sort(pending)
	return pending
}

// HasRead reports whether a namespace was read: what is in force of it is what it said last.
func (p *Publisher) HasRead(namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.parts[namespace]
	return known != nil && !known.unreadable
}

// PublishAll puts policies that have their lists in force in place of all earlier ones, and returns what could not be used.
func (p *Publisher) PublishAll(policies []rules.Policy) []rules.Rejection {
	build := Build{}
	var rejections []rules.Rejection
	for _, policy := range policies {
		compiled := p.Compile(policy)
		build.Policies = append(build.Policies, compiled)
		rejections = append(rejections, compiled.Rejections...)
	}
	slices.SortStableFunc(rejections, func(a, b rules.Rejection) int { return a.Policy.Compare(b.Policy) })
	p.Publish("", build)
	return rejections
}

// publish is called under the lock. It waits until one namespace was read: where none can be, the API server may be half up, and a
// stored snapshot must not give way to a denial of everything.
func (p *Publisher) publish() {
	began := time.Now()
	var compiled []*rules.Compiled
	var kept []*Policy
	rejections, complete, anyRead := 0, true, false
	for _, namespace := range slices.Sorted(maps.Keys(p.parts)) {
		known := p.parts[namespace]
		if known == nil {
			return
		}
		complete = complete && !known.unreadable
		anyRead = anyRead || !known.unreadable
		kept = append(kept, known.build.Policies...)
		for _, policy := range known.build.Policies {
			if policy.Compiled != nil {
				compiled = append(compiled, policy.Compiled)
			}
			rejections += len(policy.Rejections)
		}
	}
	if !anyRead {
		return
	}
	before := p.snapshot
	p.snapshot = rules.Assemble(before, compiled)
	digest := p.snapshot.Digest()
	if p.keeper != nil {
		p.keeper.Invalidate(digest)
	}
	p.options.Store.Publish(p.snapshot)
	p.setInForce()
	if p.keeper != nil {
		if complete { // what was never read could not be told from nothing at a later start
			p.keeper.Save(digest, p.inForce.Synced, kept)
		}
		p.keeper.Deactivate()
	}
	p.options.Metrics.published(rejections, time.Since(began))
	if before != nil && before.Digest() == digest {
		return
	}
	p.options.Logger.Info("Rules published", "digest", digest, "policies", len(compiled), "rejections", rejections)
}

// setInForce is called under the lock.
func (p *Publisher) setInForce() {
	now := InForce{Digest: p.snapshot.Digest(), Synced: map[string]string{}}
	for namespace, known := range p.parts {
		if known != nil && known.build.Synced != "" {
			now.Synced[namespace] = known.build.Synced
		}
	}
	p.tell(now)
}

// tell is called under the lock.
func (p *Publisher) tell(now InForce) {
	now.Unreadable = slices.Sorted(maps.Keys(p.unreadable))
	if now.Digest == p.inForce.Digest && maps.Equal(now.Synced, p.inForce.Synced) && slices.Equal(now.Unreadable, p.inForce.Unreadable) {
		return
	}
	p.inForce = now
	close(p.changed)
	p.changed = make(chan struct{})
}

// InForce returns what is in force, and a channel that is closed when it changes.
func (p *Publisher) InForce() (InForce, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inForce, p.changed
}

// PublishIfNone puts a kept snapshot in force unless another is, and reports whether it did. The function is called before.
func (p *Publisher) PublishIfNone(kept *rules.Snapshot, synced map[string]string, rejections int, before func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snapshot != nil {
		return false
	}
	before()
	if p.options.Metrics != nil {
		p.options.Metrics.storedInForce(rejections)
	}
	p.options.Store.Publish(kept)
	p.tell(InForce{Digest: kept.Digest(), Synced: synced})
	return true
}

// Assemble returns the snapshot that policies with their lists make, within their scopes, and what could not be used. Nothing is
// published.
func (p *Publisher) Assemble(policies []rules.Policy) (*rules.Snapshot, []rules.Rejection) {
	var compiled []*rules.Compiled
	var rejections []rules.Rejection
	for _, policy := range policies {
		one := p.Compile(policy)
		if one.Compiled != nil {
			compiled = append(compiled, one.Compiled)
		}
		rejections = append(rejections, one.Rejections...)
	}
	return rules.Assemble(nil, compiled), rejections
}
