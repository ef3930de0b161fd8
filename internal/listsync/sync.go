package listsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

const (
	// MinKeep is the least that Request.Keep may be. It is longer than any run, so that no run deletes what another one is
	// about to name.
	MinKeep = 10 * time.Minute
	// runTimeout is for all that a run asks of the API server: some seconds for the largest list.
	runTimeout = 5 * time.Minute
)

var (
	// ErrNotOurs is the error of a ConfigMap that somebody else keeps.
	ErrNotOurs = errors.New("was not made by this command")
	// ErrTooMany is the error of a list with more entries than it may have.
	ErrTooMany = errors.New("too many entries")
	// ErrNoRevision is the error of a roll-back to what is not there.
	ErrNoRevision = errors.New("no such content is kept")
)

// Request is what a list is to hold.
type Request struct {
	// Namespace and Name are those of the ConfigMap.
	Namespace, Name string
	// Source is shown in reports: see [Shown].
	Source string
	// Text is the content.
	Text []byte

	// Use says what the list is for.
	Use Use
	// Pinned is the digest that the content must have; "": any.
	Pinned string
	// Accept is the digest of the content that is written whatever the guard says.
	Accept string
	// MaxChange is how much of the list may change at once, in percent of the entries before.
	MaxChange float64
	// MaxEntries is how many entries there may be.
	MaxEntries int
	// Keep is how long what was replaced stays: at least MinKeep.
	Keep time.Duration
	// Adopt takes over a ConfigMap that somebody else made.
	Adopt bool
	// DryRun writes nothing.
	DryRun bool

	// judged: this content has been in force before.
	judged bool
}

// Syncer writes lists.
type Syncer struct {
	// Kube reaches the API server: see NewClient. nil: there is none, and a content is compared with nothing; it needs
	// Request.DryRun.
	Kube client.Client
	// Now is the time.
	Now func() time.Time
	// Step is told what is done next, in words. Optional.
	Step func(doing string)
}

func (s *Syncer) step(format string, args ...any) {
	if s.Step != nil {
		s.Step(fmt.Sprintf(format, args...))
	}
}

// run is one synchronisation.
type run struct {
	*Syncer
	request Request
	maps    *configMaps
	report  *Report
	head    *corev1.ConfigMap // what policies name; nil: not there
	old     *rules.List       // what it holds; nil: nothing that can be read whole
	oldText []byte
	now     *rules.List
}

// Sync brings a content into the cluster. A report of a refusal is no error. It writes an Event of what it did, and none where
// there was nothing to do.
func (s *Syncer) Sync(ctx context.Context, request Request) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	r := &run{Syncer: s, request: request, maps: newConfigMaps(s.Kube, request.Namespace), report: &Report{
		Namespace: request.Namespace, Name: request.Name, Source: request.Source, DryRun: request.DryRun,
	}}
	err := r.sync(ctx)
	r.announce(ctx, err)
	if err != nil {
		return nil, err
	}
	return r.report, nil
}

func (r *run) sync(ctx context.Context) error {
	if err := r.readOld(ctx); err != nil {
		return err
	}
	r.step("reading the new content")
	r.now = rules.CompileList(r.request.Text)
	r.report.Digest, r.report.Entries = r.now.Digest(), r.now.Entries()
	r.report.SkippedLines, r.report.FirstSkippedLines = r.now.Skipped()
	if r.report.Entries > r.request.MaxEntries {
		return fmt.Errorf("%w: %d, and --max-entries allows %d", ErrTooMany, r.report.Entries, r.request.MaxEntries)
	}
	r.step("comparing %s with what was there", entries(r.report.Entries))
	objects, err := listconfigmap.Write(r.request.Name, r.request.Namespace, r.request.Text)
	if err != nil {
		return err
	}
	if err := r.judge(ctx, objects); err != nil || r.report.Outcome == Refused {
		return err
	}
	for _, object := range objects {
		object.Labels[labelManagedBy] = managedBy
	}
	r.report.Shards = len(objects) - 1
	r.report.Outcome = Done
	if r.isThere() {
		r.report.Outcome = Unchanged
	} else if err := r.write(ctx, objects); err != nil {
		return err
	}
	return r.sweep(ctx, objects)
}

// readOld reads what the cluster has.
func (r *run) readOld(ctx context.Context) (err error) {
	if r.Kube == nil {
		r.report.Warnings = append(r.report.Warnings,
			"there is no cluster: the content was compared with no list and no policy (--kubeconfig names one)")
		return nil
	}
	r.step("reading what ConfigMap %s/%s holds", r.request.Namespace, r.request.Name)
	if r.head, err = r.maps.get(ctx, r.request.Name); err != nil || r.head == nil {
		return err
	}
	if !ours(r.head) && !r.request.Adopt {
		return fmt.Errorf("ConfigMap %s/%s %w: --adopt replaces all that is in it", r.request.Namespace, r.request.Name, ErrNotOurs)
	}
	text, missing, found := r.maps.text(ctx, r.request.Name)
	switch {
	case r.maps.err != nil:
		return r.maps.err
	case !found && missing == "": // adopted, and no list so far
		return nil
	case !found:
		r.report.Warnings = append(r.report.Warnings, "what is there cannot be read: "+missing)
		return nil
	}
	list := rules.CompileList(text)
	if list.Fault() != "" { // as missing, to the operator too
		r.report.Warnings = append(r.report.Warnings, "what is there is not a list: "+list.Fault())
		return nil
	}
	r.old, r.oldText, r.report.Previous = list, text, list.Digest()
	return nil
}

// text returns what a ConfigMap and its shards hold, or why it is as missing: "" where it is none of the operator's lists.
func (m *configMaps) text(ctx context.Context, name string) (text []byte, missing string, found bool) {
	texts, missing, result := listconfigmap.Read(m.reader(ctx), name, "")
	for i, part := range texts {
		text = append(text, part...)
		if i < len(texts)-1 && len(part) > 0 && !bytes.HasSuffix(part, []byte("\n")) {
			text = append(text, '\n')
		}
	}
	return text, missing, result == listconfigmap.Found
}

// isThere says whether the cluster has the content, whole, and as this package writes it.
func (r *run) isThere() bool {
	return r.old != nil && r.report.Previous == r.report.Digest && ours(r.head) && listconfigmap.IsList(r.head)
}

// judge asks the guard about the content, which is in these objects.
func (r *run) judge(ctx context.Context, objects []*corev1.ConfigMap) error {
	policies, err := readPolicies(ctx, r.Kube, r.request.Namespace)
	if err != nil {
		return err
	}
	c := change{
		use: r.request.Use, old: r.old, now: r.now, maxChange: r.request.MaxChange,
		providers: lint.MailboxProviders(), isPage: isPage(r.request.Text), allowed: allowedByName(policies),
	}
	r.report.Added, r.report.Removed = c.count()
	if r.request.Pinned != "" && r.request.Pinned != r.report.Digest {
		r.report.Objections = append(r.report.Objections, Objection{
			Kind: NotPinned, Text: fmt.Sprintf("the content is %s, and --sha256 names %s", r.report.Digest, r.request.Pinned),
		})
	}
	tooBig := r.measure(ctx, policies, objects)
	switch known := r.judgedBefore(); {
	case !known:
		r.report.Objections = append(append(r.report.Objections, c.judge()...), tooBig...)
	case r.now.Fault() != "":
		r.report.Objections = append(r.report.Objections, c.judge()...)
	default:
		for i := range tooBig {
			r.report.Warnings = append(r.report.Warnings, tooBig[i].Text)
		}
	}
	released := r.request.Accept == r.report.Digest
	for i := range r.report.Objections {
		if !r.report.Objections[i].releasable() {
			r.report.Outcome = Refused
			return nil
		}
	}
	if len(r.report.Objections) > 0 && !released {
		r.report.Outcome, r.report.Accept = Refused, r.report.Digest
	}
	return nil
}

// judgedBefore says whether the content is the one that the cluster has, or names: a lost shard is put back without a question.
func (r *run) judgedBefore() bool {
	if r.request.judged || r.report.Previous == r.report.Digest {
		return true
	}
	var index struct {
		Digest string `json:"digest"`
	}
	if r.head == nil || !ours(r.head) || json.Unmarshal([]byte(r.head.Data[listconfigmap.KeyIndex]), &index) != nil {
		return false
	}
	return index.Digest == r.report.Digest
}
