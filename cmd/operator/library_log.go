package main

import (
	"context"
	"log/slog"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// libraryHandler takes the lines of client-go and controller-runtime. What they tell of their own work is of the level DEBUG: it
// names functions and addresses in memory. Errors stay, but for those of expectedErrors.
type libraryHandler struct{ slog.Handler }

// expectedErrors are the errors that the libraries log in the course of things, by their message.
var expectedErrors = map[string]func(error) bool{
	// Replicas that start at the same time all create the lease of the leader; the first one succeeds.
	"Error initially creating lease lock": apierrors.IsAlreadyExists,
	// The same where they all take over a lease that has expired.
	"Failed to update lock":  apierrors.IsConflict,
	"Failed to update lease": apierrors.IsConflict,
	// The operator was told to stop while it waited for the API server.
	"failed to get informer from cache": apierrors.IsTimeout,
}

// quieter is what the level of a line is lowered by.
const quieter = slog.LevelInfo - slog.LevelDebug

// Enabled reports whether a line of that level may be written.
func (h libraryHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, libraryLevel(level))
}

// Handle writes the line by its lowered level.
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
	return level - quieter
}
