package main

import (
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"registrationpolicy.dev/operator/hookserver"
)

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// newLogger returns the logger of the process. client-go and controller-runtime log through it, too.
func newLogger(o *options, w io.Writer) logr.Logger {
	handler := newLogHandler(o, w)
	libraries := logr.FromSlogHandler(libraryHandler{handler})
	ctrl.SetLogger(libraries.WithName("controller-runtime"))
	klog.SetLogger(libraries.WithName("client-go"))
	return logr.FromSlogHandler(handler)
}

func newLogHandler(o *options, w io.Writer) slog.Handler {
	handlerOptions := &slog.HandlerOptions{Level: levels[o.logLevel], ReplaceAttr: renameErrorKey}
	if o.logFormat == "text" {
		return slog.NewTextHandler(w, handlerOptions)
	}
	return slog.NewJSONHandler(w, handlerOptions)
}

// hookLogger is the name of the hook server's logger.
const hookLogger = "hook"

// newDecisionLog returns a log with the format of newLogHandler. It returns nil if w is nil.
func newDecisionLog(o *options, w io.Writer) *hookserver.DecisionLog {
	if w == nil {
		return nil
	}
	return &hookserver.DecisionLog{Writer: w, Text: o.logFormat == "text", Name: hookLogger}
}

// renameErrorKey changes the key "err", which logr writes, to "error", as documented in docs/reference/log-fields.md.
func renameErrorKey(groups []string, attribute slog.Attr) slog.Attr {
	if len(groups) == 0 && attribute.Key == "err" {
		attribute.Key = "error"
	}
	return attribute
}
