package listsync

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/internal/policyobject"
)

const (
	// The reasons of the Events that a run writes about a list's ConfigMap.
	eventSynced  = "ListSynced"
	eventRefused = "ListRefused"
	eventFailed  = "ListSyncFailed"

	// actionSync is the action of all these Events.
	actionSync = "Sync"
	// reportingController is the reportingController of all these Events.
	reportingController = "registrationpolicy.dev/regpol"
	// eventTimeout limits writing the Event at the end of a run. A person may be waiting for the command to end.
	eventTimeout = 10 * time.Second
)

// EventReasons returns the reasons of all Events about lists.
func EventReasons() []string { return []string{eventSynced, eventRefused, eventFailed} }

// recordEvent writes an Event about the run: about err, or about the report if err is nil. If the API server does not
// accept the Event, recordEvent only adds a warning, because the result of the run does not depend on the Event.
func (r *run) recordEvent(ctx context.Context, err error) {
	kind, reason, note := corev1.EventTypeNormal, eventSynced, fmt.Sprintf("%s (%d added, %d removed) from %s: %s",
		entries(r.report.Entries), r.report.Added, r.report.Removed, r.report.Source, r.report.Digest)
	switch {
	case r.request.DryRun:
		return
	case err != nil:
		kind, reason, note = corev1.EventTypeWarning, eventFailed, err.Error()
	case r.report.Outcome == Unchanged:
		return
	case r.report.Outcome == Refused:
		kind, reason, note = corev1.EventTypeWarning, eventRefused, r.refusalNote()
	}
	// ctx may have ended already: the Event may be about a run that exceeded runTimeout.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), eventTimeout)
	defer cancel()
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.request.Namespace, GenerateName: "regpol-lists-sync-"},
		EventTime:  metav1.NewMicroTime(r.Now()), ReportingController: reportingController, ReportingInstance: managedBy,
		Action: actionSync, Reason: reason, Type: kind, Note: policyobject.EventNote(note),
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: r.request.Namespace, Name: r.request.Name},
	}
	if r.primary != nil {
		event.Regarding.UID, event.Regarding.ResourceVersion = r.primary.UID, r.primary.ResourceVersion
	}
	if err := r.Kube.Create(ctx, event); err != nil {
		r.report.Warnings = append(r.report.Warnings, apiError("write an Event", err).Error())
	}
}

// refusalNote returns the note of an Event about a refusal. The note begins with the fix, because
// policyobject.EventNote cuts off the end of a long note.
func (r *run) refusalNote() string {
	var note strings.Builder
	if r.report.Accept != "" {
		note.WriteString("To write it after a look: --accept " + r.report.Accept + ". ")
	}
	for i := range r.report.Refusals {
		note.WriteString(r.report.Refusals[i].Text + ". ")
	}
	return strings.TrimSpace(note.String())
}

// RecordFetchError writes an Event about a source that could not be read.
func (s *Syncer) RecordFetchError(ctx context.Context, request Request, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	r := &run{Syncer: s, request: request, report: &Report{}, configMaps: newConfigMaps(s.Kube, request.Namespace)}
	r.primary, _ = r.configMaps.get(ctx, request.Name) // for the UID in the Event
	r.recordEvent(ctx, err)
}
