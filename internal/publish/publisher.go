package publish

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/rules"
)

// BoundFunc limits a policy to the scope of its namespace. outside are the parts that are outside of the scope. ok is
// false if nothing of the policy is within.
type BoundFunc func(rules.Policy) (within rules.Policy, outside []rules.Rejection, ok bool)

// Keeper stores the rules in force for a later start. The publisher calls its methods one at a time.
type Keeper interface {
	// Invalidate removes the stored rules unless they have this digest. It is called before other rules come into
	// force.
	Invalidate(digest string)
	// Save stores the policies in force, with their lists and the resourceVersion of each namespace up to which they
	// are current. It is called after they have come into force.
	Save(digest string, synced map[string]string, policies []*Policy)
	// Deactivate is called when rules from the API server are in force.
	Deactivate()
}

// Options configure a Publisher.
type Options struct {
	// Namespaces are published together. It is empty if [Publisher.PublishAll] is used.
	Namespaces []string
	// Bound limits policies to the scope of their namespace; nil: no limits.
	Bound BoundFunc
	// Store receives the snapshots.
	Store *rules.Store
	// Metrics may be nil.
	Metrics *Metrics
	// Logger gets a line when the rules in force change, and one for each policy that is not understood.
	Logger logr.Logger
}

// Publisher puts the rules of all namespaces in force in one snapshot. All methods may be called concurrently, but only
// one at a time for the same namespace.
type Publisher struct {
	options Options

	mu     sync.Mutex       // held during publications
	keeper Keeper           // may be nil
	parts  map[string]*part // by namespace; nil while the namespace was neither read nor found unreadable
	// snapshot is in force, built from parts; nil before the first.
	snapshot   *rules.Snapshot
	unreadable map[string]bool
	inForce    InForce
	changed    chan struct{}
}

// part is the contribution of one namespace to the snapshot.
type part struct {
	build Build
	// unreadable: the namespace was never read, so the calls in its scope are denied.
	unreadable bool
}

// Build is the result of building one namespace.
type Build struct {
	// Policies are the compiled policies of the namespace.
	Policies []*Policy
	// Synced is the resourceVersion up to which they are current.
	Synced string
}

// Policy is a compiled policy. It is immutable.
type Policy struct {
	// Written is the policy as its author wrote it, with the lists that it names.
	Written rules.Policy
	// Refused says why the policies of the namespace are over its budget; this Policy then replaces all of them. "" if
	// they fit.
	Refused string
	// Compiled is the part within the scope of the namespace; nil if nothing is.
	Compiled *rules.Compiled
	// Rejections are the parts that are not in force, those outside of the scope first.
	Rejections []rules.Rejection
}

// InForce describes the rules in force. The zero value means that there are none yet.
type InForce struct {
	// Digest is the digest of the snapshot.
	Digest string
	// Synced maps each namespace that was read to the resourceVersion up to which its rules are current. It must not be
	// changed.
	Synced map[string]string
	// Unreadable are the namespaces that the API server does not let this replica read now, sorted. Their last known
	// rules stay in force.
	Unreadable []string
}

// New returns a publisher. Nothing is in force before the first publication.
func New(options Options) *Publisher {
	p := &Publisher{options: options, parts: map[string]*part{}, unreadable: map[string]bool{}, changed: make(chan struct{})}
	for _, namespace := range options.Namespaces {
		p.parts[namespace] = nil
	}
	return p
}

// SetKeeper sets where the rules in force are stored. Call it before the first publication.
func (p *Publisher) SetKeeper(keeper Keeper) { p.keeper = keeper }

// Compile compiles a policy with its lists, within the scope of its namespace.
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

// Publish puts the policies of a namespace in force. Until every namespace was read or is known to be unreadable, it
// only stores them for the first snapshot.
func (p *Publisher) Publish(namespace string, build Build) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts[namespace] = &part{build: build}
	p.publish()
}

// Advance notes that the rules of a namespace are current up to a later version, since none of its objects has changed.
func (p *Publisher) Advance(namespace, synced string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.parts[namespace]; known != nil && !known.unreadable && known.build.Synced != synced {
		known.build.Synced = synced
		if p.snapshot != nil {
			p.updateInForce()
		}
	}
}

// SetReadable notes that a namespace can be read again. Publish then brings its policies.
func (p *Publisher) SetReadable(namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unreadable[namespace] {
		delete(p.unreadable, namespace)
		p.setInForce(InForce{Digest: p.inForce.Digest, Synced: p.inForce.Synced})
	}
}

// SetUnreadable notes that a namespace cannot be read. Its last known rules stay in force. If it was never read and has
// a bound, the calls in its scope are denied, and other calls are decided once another namespace was read. Without a
// bound that would deny every call, so nothing is published until the namespace is read.
func (p *Publisher) SetUnreadable(namespace, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unreadable[namespace] = true
	defer func() { p.setInForce(InForce{Digest: p.inForce.Digest, Synced: p.inForce.Synced}) }()
	if p.parts[namespace] != nil || p.options.Bound == nil {
		return
	}
	all := DenyNamespace(namespace, why)
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

// RefuseNamespace returns the policy that replaces all policies of a namespace that are over its budget: it denies the
// calls in its scope.
func (p *Publisher) RefuseNamespace(namespace, why string) *Policy {
	refused := p.Compile(DenyNamespace(namespace, why))
	refused.Refused = why
	return refused
}

// DenyNamespace returns the policy that replaces all policies of a namespace that are not in force: it denies the calls
// in its scope. Its name, *, cannot be the name of an object.
func DenyNamespace(namespace, why string) rules.Policy {
	return rules.Policy{PolicyName: rules.PolicyName{Namespace: namespace, Name: "*"}, NotUnderstood: why}
}

// Pending returns the namespaces for which the first rules wait, sorted. It is empty once rules are in force.
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

// HasRead reports whether a namespace was read, so that its last known rules are in force.
func (p *Publisher) HasRead(namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.parts[namespace]
	return known != nil && !known.unreadable
}

// PublishAll replaces all policies in force with these, which have their lists. It returns them compiled, sorted by
// name.
func (p *Publisher) PublishAll(policies []rules.Policy) []*Policy {
	compiled := make([]*Policy, len(policies))
	for i, policy := range policies {
		compiled[i] = p.Compile(policy)
	}
	slices.SortStableFunc(compiled, func(a, b *Policy) int { return a.Written.Compare(b.Written.PolicyName) })
	p.Publish("", Build{Policies: compiled})
	return compiled
}

// publish assembles and publishes the rules once every namespace was read or found unreadable, and at least one was
// read. If none can be read, the API server may still be starting, and a stored snapshot must not be replaced by a
// denial of everything. The caller holds the lock.
func (p *Publisher) publish() {
	began := time.Now()
	count := 0
	for _, known := range p.parts {
		if known != nil {
			count += len(known.build.Policies)
		}
	}
	compiled, policies := make([]*rules.Compiled, 0, count), make([]*Policy, 0, count)
	rejections, complete, anyRead := 0, true, false
	for _, namespace := range slices.Sorted(maps.Keys(p.parts)) {
		known := p.parts[namespace]
		if known == nil {
			return
		}
		complete = complete && !known.unreadable
		anyRead = anyRead || !known.unreadable
		policies = append(policies, known.build.Policies...)
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
	p.updateInForce()
	if p.keeper != nil {
		if complete { // after a later start, a namespace that was never read would look empty
			p.keeper.Save(digest, p.inForce.Synced, policies)
		}
		p.keeper.Deactivate()
	}
	p.options.Metrics.published(rejections, time.Since(began))
	if before != nil && before.Digest() == digest {
		return
	}
	p.options.Logger.Info("Rules published", "digest", digest, "policies", len(compiled), "rejections", rejections)
}

// updateInForce sets inForce from the snapshot and the contribution of each namespace. The caller holds the lock.
func (p *Publisher) updateInForce() {
	now := InForce{Digest: p.snapshot.Digest(), Synced: map[string]string{}}
	for namespace, known := range p.parts {
		if known != nil && known.build.Synced != "" {
			now.Synced[namespace] = known.build.Synced
		}
	}
	p.setInForce(now)
}

// setInForce sets what is in force, and closes the channel of InForce if it changed. The caller holds the lock.
func (p *Publisher) setInForce(now InForce) {
	now.Unreadable = slices.Sorted(maps.Keys(p.unreadable))
	if now.Digest == p.inForce.Digest && maps.Equal(now.Synced, p.inForce.Synced) && slices.Equal(now.Unreadable, p.inForce.Unreadable) {
		return
	}
	p.inForce = now
	close(p.changed)
	p.changed = make(chan struct{})
}

// InForce returns what is in force, and a channel that is closed when that changes.
func (p *Publisher) InForce() (InForce, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inForce, p.changed
}

// PublishIfNone puts a stored snapshot in force unless another is, and reports whether it did. It calls before just
// before the snapshot comes into force.
func (p *Publisher) PublishIfNone(stored *rules.Snapshot, synced map[string]string, rejections int, before func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snapshot != nil {
		return false
	}
	before()
	if p.options.Metrics != nil {
		p.options.Metrics.storedInForce(rejections)
	}
	p.options.Store.Publish(stored)
	p.setInForce(InForce{Digest: stored.Digest(), Synced: synced})
	return true
}

// Assemble returns the snapshot of policies, which have their lists, within their scopes, and the rejected parts. It
// does not publish the snapshot.
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
