package main

import (
	"context"
	"log/slog"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// libraryHandler writes the log lines of client-go and controller-runtime. It lowers their level, such as INFO to
// DEBUG, because they describe internals of these libraries. ERROR lines report failures and so keep their level,
// except expectedErrors.
type libraryHandler struct{ slog.Handler }

// expectedErrors are errors that the libraries log in normal operation, by message.
var expectedErrors = map[string]func(error) bool{
	// Several replicas start at the same time and create the lease; only one succeeds.
	"Error initially creating lease lock": apierrors.IsAlreadyExists,
	// Several replicas take over an expired lease; only one succeeds.
	"Failed to update lock":  apierrors.IsConflict,
	"Failed to update lease": apierrors.IsConflict,
	// The operator is stopped while it waits for the API server.
	"failed to get informer from cache": apierrors.IsTimeout,
}

// levelOffset is subtracted from the level of a library's line: see [libraryHandler]. ERROR lines keep their level.
const levelOffset = slog.LevelInfo - slog.LevelDebug

// Enabled reports whether a library line of that level is written.
func (h libraryHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, libraryLevel(level))
}

// Handle writes the line with its lowered level.
func (h libraryHandler) Handle(ctx context.Context, record slog.Record) error {
	level := libraryLevel(record.Level)
	if isExpected := expectedErrors[record.Message]; isExpected != nil && record.Level >= slog.LevelError {
		record.Attrs(func(attribute slog.Attr) bool {
			if err, isError := attribute.Value.Any().(error); isError && isExpected(err) {
				level = slog.LevelDebug
			}
			return true
		})
	}
	if !h.Handler.Enabled(ctx, level) {
		return nil
	}
	record.Level = level
	return h.Handler.Handle(ctx, record)
}

// WithAttrs returns a handler that adds these attributes.
func (h libraryHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return libraryHandler{h.Handler.WithAttrs(attributes)}
}

// WithGroup returns a handler that puts attributes into the group.
func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{h.Handler.WithGroup(name)}
}

func libraryLevel(level slog.Level) slog.Level {
	if level >= slog.LevelError {
		return level
	}
	return level - levelOffset
}
