package listsync

import (
	"context"
	"fmt"
	"math"
	"time"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/rules"
)

// Rollback brings back a content that was in force: of a digest, or, of "", the one that was replaced last. The guard is not
// asked again. Of the request it takes Namespace, Name, Keep and DryRun.
func (s *Syncer) Rollback(ctx context.Context, request Request, digest string) (*Report, error) {
	found, err := kept(ctx, s.Kube, request.Namespace, request.Name)
	if err != nil {
		return nil, err
	}
	maps := newConfigMaps(s.Kube, request.Namespace)
	current, _, _ := maps.text(ctx, request.Name)
	inForce := rules.CompileList(current).Digest()
	name, latest := "", time.Time{}
	for i := range found {
		revision := found[i].Annotations[annotationRevision]
		since, _ := time.Parse(time.RFC3339, found[i].Annotations[annotationSuperseded]) // not marked yet: long ago
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
	case revision == nil: // gone since
		return nil, fmt.Errorf("%s/%s: %w", request.Namespace, request.Name, ErrNoRevision)
	}
	revision.Labels[listconfigmap.Label] = listconfigmap.LabelTrue // to be read as one; the operator has no use for it
	text, missing, whole := maps.text(ctx, name)
	switch {
	case maps.err != nil:
		return nil, maps.err
	case !whole:
		return nil, fmt.Errorf("%s/%s: %w whole: %s", request.Namespace, name, ErrNoRevision, missing)
	}
	if got := rules.CompileList(text).Digest(); got != request.Source {
		return nil, fmt.Errorf("%s/%s: %w: it holds %s", request.Namespace, name, ErrNoRevision, got)
	}
	request.Text, request.judged, request.MaxEntries = text, true, math.MaxInt // as it was in force before
	return s.Sync(ctx, request)
}
