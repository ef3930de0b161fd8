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
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/listmemory"
	"registrationpolicy.dev/operator/rules"
)

const (
	// MinKeep is the minimum of Request.Keep. It is longer than any run can take. Otherwise a run could delete a shard
	// that a concurrent run is about to name in its index.
	MinKeep = 10 * time.Minute
	// runTimeout limits all API requests of one Sync together. Writing the largest list takes some seconds.
	runTimeout = 5 * time.Minute
)

var (
	// ErrNotOurs reports a ConfigMap without the label app.kubernetes.io/managed-by: regpol, so somebody else made it.
	ErrNotOurs = errors.New("was not made by this command")
	// ErrTooMany reports a list with more than Request.MaxEntries entries.
	ErrTooMany = errors.New("too many entries")
	// ErrNoRevision reports that the content to roll back to does not exist.
	ErrNoRevision = errors.New("no such content is kept")
)

// Request is the wanted content of a list.
type Request struct {
	// Namespace and Name are those of the ConfigMap.
	Namespace, Name string
	// Source is the source of the content as reports show it: the result of listsource.Display.
	Source string
	// Text is the new content.
	Text []byte

	// Use says whether policies allow or deny by the list.
	Use listguard.Use
	// Pinned is the digest that the content must have. Empty means any.
	Pinned string
	// Accept is the digest of content to write despite the guard's refusals.
	Accept string
	// MaxChange limits added and removed entries together, in percent of the entries in the old content.
	MaxChange float64
	// MaxEntries is the maximum number of entries.
	MaxEntries int
	// Keep is how long replaced content is kept, at least MinKeep.
	Keep time.Duration
	// Adopt allows to replace a ConfigMap that somebody else made, see ErrNotOurs.
	Adopt bool
	// DryRun writes nothing.
	DryRun bool

	// wasInForce: this content was in force before, so the guard only checks that it is a list.
	wasInForce bool
}

// Syncer writes lists.
type Syncer struct {
	// Kube is a client of the cluster, see NewClient. It may be nil if Request.DryRun is set: new content is then
	// compared with no list and no policy.
	Kube client.Client
	// Now returns the current time.
	Now func() time.Time
	// Step, if set, is called with a description of each step before the step begins, to show the progress.
	Step func(doing string)
}

func (s *Syncer) step(format string, args ...any) {
	if s.Step != nil {
		s.Step(fmt.Sprintf(format, args...))
	}
}

// run is one call of Sync.
type run struct {
	*Syncer
	request    Request
	configMaps *configMaps
	report     *Report
	primary    *corev1.ConfigMap // the ConfigMap that policies name; nil if it does not exist
	oldList    *rules.List       // the list in force; nil if there is none, or it cannot be read completely
	oldText    []byte            // the text of oldList
	newList    *rules.List       // the list in request.Text
}

// Sync writes the content of a request into the cluster. A refusal by the guard is in the report and is not an error.
// Sync records an Event about its outcome, except for a dry run or if the cluster has the content already.
func (s *Syncer) Sync(ctx context.Context, request Request) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	r := &run{Syncer: s, request: request, configMaps: newConfigMaps(s.Kube, request.Namespace), report: &Report{
		Namespace: request.Namespace, Name: request.Name, Source: request.Source, DryRun: request.DryRun,
	}}
	err := r.sync(ctx)
	r.recordEvent(ctx, err)
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
	r.newList = rules.CompileList(r.request.Text)
	r.report.Digest, r.report.Entries = r.newList.Digest(), r.newList.Entries()
	r.report.SkippedLines, r.report.FirstSkippedLines = r.newList.Skipped()
	r.report.SkippedReasons = skippedReasons(r.request.Text, r.report.SkippedLines)
	if r.report.Entries > r.request.MaxEntries {
		return fmt.Errorf("%w: %d, and --max-entries allows %d", ErrTooMany, r.report.Entries, r.request.MaxEntries)
	}
	r.step("comparing %s with the content in force", entries(r.report.Entries))
	objects, err := listconfigmap.Write(r.request.Name, r.request.Namespace, r.request.Text)
	if err != nil {
		return err
	}
	if err := r.runGuard(ctx, objects); err != nil || r.report.Outcome == Refused {
		return err
	}
	for _, object := range objects {
		object.Labels[labelManagedBy] = managedBy
	}
	r.report.Shards = len(objects) - 1
	r.report.Outcome = Done
	if r.upToDate() {
		r.report.Outcome = Unchanged
	} else if err := r.write(ctx, objects); err != nil {
		return err
	}
	return r.sweep(ctx, objects)
}

// readOld reads the content in force from the cluster. Content that cannot be read completely is a warning.
func (r *run) readOld(ctx context.Context) (err error) {
	if r.Kube == nil {
		r.report.Warnings = append(r.report.Warnings,
			"without a cluster, the content was not compared with the current list or with policies: give one with --kubeconfig")
		return nil
	}
	r.step("reading ConfigMap %s/%s", r.request.Namespace, r.request.Name)
	if r.primary, err = r.configMaps.get(ctx, r.request.Name); err != nil || r.primary == nil {
		return err
	}
	if !managedByUs(r.primary) && !r.request.Adopt {
		return fmt.Errorf("ConfigMap %s/%s %w: choose another name, or replace its content with --adopt",
			r.request.Namespace, r.request.Name, ErrNotOurs)
	}
	text, missing, found := r.configMaps.text(ctx, r.request.Name)
	switch {
	case r.configMaps.err != nil:
		return r.configMaps.err
	case !found && missing == "": // an adopted ConfigMap that was not a list
		return nil
	case !found:
		r.report.Warnings = append(r.report.Warnings, "the old content cannot be read: "+missing)
		return nil
	}
	list := rules.CompileList(text)
	if list.Fault() != "" { // the operator does not use such a list either, so nothing is in force
		r.report.Warnings = append(r.report.Warnings, "the old content is not a list: "+list.Fault())
		return nil
	}
	r.oldList, r.oldText, r.report.Previous = list, text, list.Digest()
	return nil
}

// text returns the content of a list. If it could not be read completely, found is false, and missing says which part
// of the list is missing. missing is "" if there is no list: the ConfigMap does not exist, or has no list.
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

// upToDate reports whether the cluster already has the complete new content, and a ConfigMap with the labels that this
// package writes.
func (r *run) upToDate() bool {
	return r.oldList != nil && r.report.Previous == r.report.Digest && managedByUs(r.primary) && listconfigmap.IsList(r.primary)
}

// runGuard adds the refusals of listguard and listmemory to the report. It sets the outcome Refused, unless
// Request.Accept overrides all of them. objects are the ConfigMaps that will hold the new content.
func (r *run) runGuard(ctx context.Context, objects []*corev1.ConfigMap) error {
	policies, err := readPolicies(ctx, r.Kube, r.request.Namespace)
	if err != nil {
		return err
	}
	change := listguard.Change{
		Use: r.request.Use, Old: r.oldList, New: r.newList, NewText: r.request.Text,
		Allowed: allowedByName(policies), MaxChange: r.request.MaxChange,
	}
	r.report.Added, r.report.Removed = change.Count()
	if r.request.Pinned != "" && r.request.Pinned != r.report.Digest {
		r.report.Refusals = append(r.report.Refusals, listguard.Refusal{
			Kind: listguard.NotPinned,
			Text: fmt.Sprintf("the digest of the content is %s: --sha256 requires %s", r.report.Digest, r.request.Pinned),
		})
	}
	memory := listmemory.Estimate(&listmemory.Input{
		Namespace: r.request.Namespace, Name: r.request.Name, Text: r.request.Text, Objects: objects, Policies: policies,
		Get: func(name string) (*corev1.ConfigMap, error) { return r.configMaps.getOnce(ctx, name) },
	})
	r.report.Memory, r.report.Warnings = &memory.Memory, append(r.report.Warnings, memory.Warnings...)
	switch known := r.acceptedBefore(); {
	case !known:
		r.report.Refusals = append(append(r.report.Refusals, change.Refusals()...), memory.Refusals...)
	case r.newList.Fault() != "":
		r.report.Refusals = append(r.report.Refusals, change.Refusals()...)
	default:
		for i := range memory.Refusals {
			r.report.Warnings = append(r.report.Warnings, memory.Refusals[i].Text)
		}
	}
	accepted := r.request.Accept == r.report.Digest
	for i := range r.report.Refusals {
		if !r.report.Refusals[i].Acceptable() {
			r.report.Outcome = Refused
			return nil
		}
	}
	if len(r.report.Refusals) > 0 && !accepted {
		r.report.Outcome, r.report.Accept = Refused, r.report.Digest
	}
	return nil
}

// acceptedBefore reports whether the new content was accepted before and needs no check again: it is in force, was in
// force before a rollback, or has the digest in the stored index. The last case is a list whose shard was deleted: the
// same content restores the shard, and the guard must not refuse it as new content.
func (r *run) acceptedBefore() bool {
	if r.request.wasInForce || r.report.Previous == r.report.Digest {
		return true
	}
	var index struct {
		Digest string `json:"digest"`
	}
	if r.primary == nil || !managedByUs(r.primary) || json.Unmarshal([]byte(r.primary.Data[listconfigmap.KeyIndex]), &index) != nil {
		return false
	}
	return index.Digest == r.report.Digest
}
