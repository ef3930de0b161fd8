package listsync

import (
	"context"
	"fmt"
	"math"
	"time"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/rules"
)

// Rollback writes replaced content again: the content with the given digest or, if digest is "", the content that was
// replaced last. The guard checks only that the content is a list. Rollback uses Namespace, Name, Keep and DryRun of
// the request, and ignores its other fields. It returns ErrNoRevision if the content is no longer kept.
func (s *Syncer) Rollback(ctx context.Context, request Request, digest string) (*Report, error) {
	found, err := storedParts(ctx, s.Kube, request.Namespace, request.Name)
	if err != nil {
		return nil, err
	}
	maps := newConfigMaps(s.Kube, request.Namespace)
	current, _, _ := maps.text(ctx, request.Name)
	inForce := rules.CompileList(current).Digest()
	name, latest := "", time.Time{}
	for i := range found {
		revision := found[i].Annotations[annotationRevision]
		since, _ := time.Parse(time.RFC3339, found[i].Annotations[annotationSuperseded]) // zero without the annotation
		switch {
		case found[i].Labels[labelManagedBy] != managedBy, revision == "":
		case digest != "" && revision == digest, digest == "" && revision != inForce && !since.Before(latest):
			name, latest, request.Source = found[i].Name, since, revision
		}
	}
	if name == "" {
		return nil, fmt.Errorf("%s/%s: %w", request.Namespace, request.Name, ErrNoRevision)
	}
	revision, err := maps.get(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case revision == nil: // deleted after storedParts listed it
		return nil, fmt.Errorf("%s/%s: %w", request.Namespace, request.Name, ErrNoRevision)
	}
	// listconfigmap reads only ConfigMaps with the label of lists, and a revision does not have it. So the label is set
	// here, in memory only.
	revision.Labels[listconfigmap.Label] = listconfigmap.LabelTrue
	text, missing, whole := maps.text(ctx, name)
	switch {
	case maps.err != nil:
		return nil, maps.err
	case !whole:
		return nil, fmt.Errorf("%s/%s: %w: it is incomplete: %s", request.Namespace, name, ErrNoRevision, missing)
	}
	if got := rules.CompileList(text).Digest(); got != request.Source {
		return nil, fmt.Errorf("%s/%s: %w: its digest is %s", request.Namespace, name, ErrNoRevision, got)
	}
	request.Text, request.wasInForce, request.MaxEntries = text, true, math.MaxInt
	return s.Sync(ctx, request)
}
