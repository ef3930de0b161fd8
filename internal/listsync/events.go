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
	// eventSynced, eventRefused and eventFailed are the reasons of Events about a list's ConfigMap.
	eventSynced  = "ListSynced"
	eventRefused = "ListRefused"
	eventFailed  = "ListSyncFailed"

	actionSync = "Sync"
	// reporter is what the Events say that they come from.
	reporter = "registrationpolicy.dev/regpol"
	// eventTimeout is for one Event: it comes last, and nobody waits long for it.
	eventTimeout = 10 * time.Second
)

// EventReasons returns the reasons of all Events about lists.
func EventReasons() []string { return []string{eventSynced, eventRefused, eventFailed} }

// announce writes an Event of what was done. That it cannot is a warning: the work is done.
func (r *run) announce(ctx context.Context, failed error) {
	kind, reason, note := corev1.EventTypeNormal, eventSynced, fmt.Sprintf("%s (%d added, %d removed) from %s: %s",
		entries(r.report.Entries), r.report.Added, r.report.Removed, r.report.Source, r.report.Digest)
	switch {
	case r.request.DryRun:
		return
	case failed != nil:
		kind, reason, note = corev1.EventTypeWarning, eventFailed, failed.Error()
	case r.report.Outcome == Unchanged:
		return
	case r.report.Outcome == Refused:
		kind, reason, note = corev1.EventTypeWarning, eventRefused, r.refusal()
	}
	// Also if it was the time that ran out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), eventTimeout)
	defer cancel()
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.request.Namespace, GenerateName: "regpol-lists-sync-"},
		EventTime:  metav1.NewMicroTime(r.Now()), ReportingController: reporter, ReportingInstance: managedBy,
		Action: actionSync, Reason: reason, Type: kind, Note: policyobject.EventNote(note),
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: r.request.Namespace, Name: r.request.Name},
	}
	if r.head != nil {
		event.Regarding.UID, event.Regarding.ResourceVersion = r.head.UID, r.head.ResourceVersion
	}
	if err := r.Kube.Create(ctx, event); err != nil {
		r.report.Warnings = append(r.report.Warnings, fault("write an Event", err).Error())
	}
}

// refusal says what to do first: a note has little room.
func (r *run) refusal() string {
	var says strings.Builder
	if r.report.Accept != "" {
		says.WriteString("To write it after a look: --accept " + r.report.Accept + ". ")
	}
	for i := range r.report.Objections {
		says.WriteString(r.report.Objections[i].Text + ". ")
	}
	return strings.TrimSpace(says.String())
}

// Failed writes an Event of a source that could not be read.
func (s *Syncer) Failed(ctx context.Context, request Request, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	r := &run{Syncer: s, request: request, report: &Report{}, maps: newConfigMaps(s.Kube, request.Namespace)}
	r.head, _ = r.maps.get(ctx, request.Name) // for the Event's sake alone
	r.announce(ctx, err)
}
