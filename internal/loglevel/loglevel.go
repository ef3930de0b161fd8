// Package loglevel logs at slog's level WARN through logr, which has no such level.
package loglevel

import (
	"log/slog"

	"github.com/go-logr/logr"
)

// Warn logs a line of the level WARN where the logger writes to a slog handler, and of the level INFO elsewhere.
func Warn(logger logr.Logger, message string, keysAndValues ...any) {
	sink := logger.GetSink()
	if _, writesToSlog := sink.(logr.Underlier); !writesToSlog {
		logger.Info(message, keysAndValues...)
		return
	}
	const level = -int(slog.LevelWarn) // logr's verbosity is slog's level with the other sign
	if sink.Enabled(level) {
		sink.Info(level, message, keysAndValues...)
	}
}
