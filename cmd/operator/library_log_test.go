package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestLinesOfLibrariesAreWrittenByTheirWeight(t *testing.T) {
	leases := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	for sentence, c := range map[string]struct {
		log         func(logr.Logger)
		info, debug string // what begins the line at each --log-level
	}{
		"what they do is for their developers": {
			func(l logr.Logger) { l.Info("Starting EventSource", "source", "func source: 0x168aa60") },
			"", `level=DEBUG msg="Starting EventSource" logger=client-go source=`,
		},
		"and more so what they do in detail": {func(l logr.Logger) { l.V(4).Info("Failed to acquire lease") }, "", ""},
		"an error is one": {
			func(l logr.Logger) { l.Error(errors.New("forbidden"), "Failed to watch") },
			`level=ERROR msg="Failed to watch" logger=client-go error=forbidden`, `level=ERROR msg="Failed to watch"`,
		},
		"another replica was first to create the lease": {
			func(l logr.Logger) {
				l.Error(apierrors.NewAlreadyExists(leases, "lease"), "Error initially creating lease lock", "lock", "a/lease")
			},
			"", `level=DEBUG msg="Error initially creating lease lock" logger=client-go`,
		},
		"a lease that may not be created": {
			func(l logr.Logger) {
				l.Error(apierrors.NewForbidden(leases, "lease", errors.New("no right")), "Error initially creating lease lock")
			},
			`level=ERROR msg="Error initially creating lease lock"`, `level=ERROR msg="Error initially creating lease lock"`,
		},
		"another replica was first to take over the lease": {
			func(l logr.Logger) {
				l.Error(apierrors.NewConflict(leases, "lease", errors.New("changed")), "Failed to update lock")
			},
			"", `level=DEBUG msg="Failed to update lock"`,
		},
		"told to stop while it waits": {
			func(l logr.Logger) {
				l.Error(apierrors.NewTimeoutError("failed waiting", 0), "failed to get informer from cache")
			},
			"", `level=DEBUG msg="failed to get informer from cache"`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			for level, want := range map[string]string{"info": c.info, "debug": c.debug} {
				log := &bytes.Buffer{}
				handler := libraryHandler{newLogHandler(&options{logFormat: "text", logLevel: level}, log)}
				c.log(logr.FromSlogHandler(handler).WithName("client-go"))
				_, got, _ := strings.Cut(log.String(), " ") // after the time
				if !strings.HasPrefix(got, want) || want == "" && got != "" {
					t.Errorf("--log-level %s: %q, want %q", level, got, want)
				}
			}
		})
	}
	if (libraryHandler{newLogHandler(&options{logLevel: "info"}, &bytes.Buffer{})}).Enabled(t.Context(), slog.LevelInfo) {
		t.Error("lines that are not written are made")
	}
}
