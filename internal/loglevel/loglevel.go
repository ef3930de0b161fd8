// Package loglevel logs at slog's level WARN through logr, which has no such level.
package loglevel

import (
	"log/slog"

	"github.com/go-logr/logr"
)

// Warn logs at level WARN if the logger writes to a slog handler, else at level INFO.
func Warn(logger logr.Logger, message string, keysAndValues ...any) {
	sink := logger.GetSink()
	if _, writesToSlog := sink.(logr.Underlier); !writesToSlog {
		logger.Info(message, keysAndValues...)
		return
	}
	const level = -int(slog.LevelWarn) // logr's verbosity is the negated slog level
	if sink.Enabled(level) {
		sink.Info(level, message, keysAndValues...)
	}
}
