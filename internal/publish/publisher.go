package publish

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/rules"
)

// BoundFunc limits a policy to the scope of its namespace: the calls that the policies of the namespace may decide (see
// policyobject.Scopes). within is the limited policy, and outside are the parts of the policy that are outside of the
// scope. ok is false if the policy applies to no call in the scope; the publisher then does not compile the policy.
type BoundFunc func(rules.Policy) (within rules.Policy, outside []rules.Rejection, ok bool)

// Keeper stores the rules in force for a later start, as storedsnapshot.Keeper does. The publisher calls its methods
// one at a time.
type Keeper interface {
	// Invalidate removes the stored rules unless they have this digest. The publisher calls it before the rules with
	// this digest come into force. Otherwise a restart could bring back the rules that these replace.
	Invalidate(digest string)
	// Save stores the policies in force with their lists. synced maps each namespace to the resourceVersion up to which
	// its policies are current. The publisher calls Save after the policies have come into force.
	Save(digest string, synced map[string]string, policies []*Policy)
	// Deactivate tells the keeper that the rules in force were not read from its file. The publisher calls it after
	// each publication of rules from the API server.
	Deactivate()
}

// Options configure a Publisher.
type Options struct {
	// Namespaces are the watched namespaces. Nothing is published before each of them was read or is known to be
	// unreadable. Leave Namespaces empty to use [Publisher.PublishAll].
	Namespaces []string
	// Bound limits policies to the scope of their namespace. nil means that no namespace has a scope.
	Bound BoundFunc
	// Store receives each snapshot that comes into force.
	Store *rules.Store
	// Metrics may be nil.
	Metrics *Metrics
	// Logger gets a line for each change of the rules in force, and for each compiled policy with NotUnderstood, see
	// [rules.Policy].
	Logger logr.Logger
}

// Publisher puts the policies of all namespaces in force together, as one snapshot. All methods may be called
// concurrently, but only one at a time for the same namespace.
type Publisher struct {
	options Options

	keeper Keeper // may be nil

	mu         sync.Mutex       // held during each publication
	parts      map[string]*part // by namespace; nil until the namespace is first read or found unreadable
	snapshot   *rules.Snapshot  // the snapshot in force that was built from parts; nil before the first
	unreadable map[string]bool  // the namespaces that cannot be read now
	inForce    InForce          // describes the snapshot in force, which may also be a stored one
	changed    chan struct{}    // closed when inForce changes
}

// part is what one namespace contributes to the snapshot.
type part struct {
	build Build
	// unreadable: the namespace cannot be read and never was. build then denies the calls in its scope.
	unreadable bool
}

// Build is what was built from the objects of one namespace.
type Build struct {
	// Policies are the compiled policies of the namespace.
	Policies []*Policy
	// Synced is the resourceVersion up to which Policies contains every change of the namespace's policies and lists.
	Synced string
}

// Policy is a compiled policy. It is immutable.
type Policy struct {
	// Written is the policy as its author wrote it, with the lists that it names.
	Written rules.Policy
	// Refused is set only in the policy that [Publisher.RefuseNamespace] returns in place of all policies of a namespace:
	// it says how much memory those policies need, and how much they may take.
	Refused string
	// Compiled is the policy, limited to the scope of the namespace; nil if it applies to no call in the scope.
	Compiled *rules.Compiled
	// Rejections are the parts of the policy that are not in force. Those outside of the scope come first.
	Rejections []rules.Rejection
}

// InForce describes the rules in force. In the zero value no rules are in force yet.
type InForce struct {
	// Digest is the digest of the snapshot.
	Digest string
	// Synced maps each namespace that was read to the resourceVersion up to which its rules are current. The caller
	// must not change the map.
	Synced map[string]string
	// Unreadable are the namespaces that this replica cannot read now, sorted. Their last known rules stay in force.
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

// SetKeeper sets the keeper that stores the rules in force. Call it before the first publication; without it, no rules
// are stored.
func (p *Publisher) SetKeeper(keeper Keeper) { p.keeper = keeper }

// Compile limits a policy to the scope of its namespace and compiles it. The policy must have its compiled lists.
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

// Publish puts the policies of a namespace in force. Until each watched namespace was read or is known to be
// unreadable, it only remembers the policies for the first snapshot.
func (p *Publisher) Publish(namespace string, build Build) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts[namespace] = &part{build: build}
	p.publish()
}

// Advance records that the rules of a namespace are current up to a later resourceVersion. Use it if no object of the
// namespace has changed up to that version, so that nothing must be built.
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

// SetReadable records that a namespace can be read again. It does not change the rules: call [Publisher.Publish] once
// the policies of the namespace are read.
func (p *Publisher) SetReadable(namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unreadable[namespace] {
		delete(p.unreadable, namespace)
		p.setInForce(InForce{Digest: p.inForce.Digest, Synced: p.inForce.Synced})
	}
}

// SetUnreadable records that a namespace cannot be read, and why. Its last known rules stay in force. If the namespace
// was never read and has a scope, the calls in the scope are denied; other calls are decided as soon as another
// namespace was read. If it was never read and has no scope, nothing is published until it is read: its unknown
// policies may apply to every call, so every call would have to be denied.
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

// RefuseNamespace returns a compiled policy to use instead of the policies of a namespace, because these need more
// memory than its budget. It denies all calls in the scope of the namespace. The parameter why says, for people, how
// much memory they need and may take.
func (p *Publisher) RefuseNamespace(namespace, why string) *Policy {
	refused := p.Compile(DenyNamespace(namespace, why))
	refused.Refused = why
	return refused
}

// DenyNamespace returns a policy to use instead of the policies of a namespace, because these cannot be in force for
// the reason why. Limited to the scope of the namespace, it denies all calls in the scope. It has the name "*", which
// no object can have.
func DenyNamespace(namespace, why string) rules.Policy {
	return rules.Policy{PolicyName: rules.PolicyName{Namespace: namespace, Name: "*"}, NotUnderstood: why}
}

// Pending returns the namespaces that must be read before the first rules can be published, sorted. It is empty after
// the first publication.
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

// HasRead reports whether a namespace was read since the start.
func (p *Publisher) HasRead(namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.parts[namespace]
	return known != nil && !known.unreadable
}

// PublishAll replaces all policies in force. The policies must have their compiled lists. It returns them compiled,
// sorted by name.
func (p *Publisher) PublishAll(policies []rules.Policy) []*Policy {
	compiled := make([]*Policy, len(policies))
	for i, policy := range policies {
		compiled[i] = p.Compile(policy)
	}
	slices.SortStableFunc(compiled, func(a, b *Policy) int { return a.Written.Compare(b.Written.PolicyName) })
	p.Publish("", Build{Policies: compiled})
	return compiled
}

// publish publishes the snapshot of all parts, unless a namespace was neither read nor found unreadable, or no
// namespace was read at all. In the last case the API server may still be starting, and publishing would replace a
// stored snapshot with rules that deny everything. The caller holds the lock.
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
		if complete { // after a restart, a stored snapshot without the policies of some namespace would look complete
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

// updateInForce sets inForce from snapshot and parts. The caller holds the lock.
func (p *Publisher) updateInForce() {
	now := InForce{Digest: p.snapshot.Digest(), Synced: map[string]string{}}
	for namespace, known := range p.parts {
		if known != nil && known.build.Synced != "" {
			now.Synced[namespace] = known.build.Synced
		}
	}
	p.setInForce(now)
}

// setInForce sets inForce. If inForce changes, it closes the channel that [Publisher.InForce] returned. The caller
// holds the lock.
func (p *Publisher) setInForce(now InForce) {
	now.Unreadable = slices.Sorted(maps.Keys(p.unreadable))
	if now.Digest == p.inForce.Digest && maps.Equal(now.Synced, p.inForce.Synced) && slices.Equal(now.Unreadable, p.inForce.Unreadable) {
		return
	}
	p.inForce = now
	close(p.changed)
	p.changed = make(chan struct{})
}

// InForce describes the rules in force. The channel is closed when the description changes.
func (p *Publisher) InForce() (InForce, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inForce, p.changed
}

// PublishIfNone puts a stored snapshot in force, unless rules built from the API server's objects are in force, and
// reports whether it did. If it does, it first calls prepare. rejections is the number of parts of the stored policies
// that are not in force.
func (p *Publisher) PublishIfNone(stored *rules.Snapshot, synced map[string]string, rejections int, prepare func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snapshot != nil {
		return false
	}
	prepare()
	if p.options.Metrics != nil {
		p.options.Metrics.storedInForce(rejections)
	}
	p.options.Store.Publish(stored)
	p.setInForce(InForce{Digest: stored.Digest(), Synced: synced})
	return true
}

// Assemble returns the snapshot of policies, each limited to the scope of its namespace, and the parts of the policies
// that would not be in force. It does not publish the snapshot. The policies must have their compiled lists.
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
