package loglevel

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

func TestWarn(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelInfo:  "level=WARN msg=\"No authentication\" logger=hook flag=--insecure\n",
		slog.LevelWarn:  "level=WARN msg=\"No authentication\" logger=hook flag=--insecure\n",
		slog.LevelError: "",
	} {
		var log bytes.Buffer
		logger := logr.FromSlogHandler(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})).WithName("hook")
		Warn(logger, "No authentication", "flag", "--insecure")
		if _, got, _ := strings.Cut(log.String(), " "); got != want {
			t.Errorf("with the level %s, the log is %q, want %q", level, log.String(), want)
		}
	}
}

func TestWarnOfAnotherSink(t *testing.T) {
	var got string
	logger := funcr.New(func(_, args string) { got += args }, funcr.Options{})
	Warn(logger, "No authentication")
	if !strings.Contains(got, `"msg"="No authentication"`) {
		t.Errorf("the log is %q", got)
	}
	Warn(logr.Logger{}, "No authentication") // of no sink: discarded
}
