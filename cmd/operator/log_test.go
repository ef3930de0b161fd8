package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/test/reference"
)

func TestALineOfLevelErrorHasTheKeyErrorAsTheLogPageSays(t *testing.T) {
	for format, want := range map[string]string{"json": `"error":"gone"`, "text": " error=gone"} {
		log := &lockedBuffer{}
		newLogger(&options{logFormat: format, logLevel: "info"}, log).Error(errors.New("gone"), "Writing status failed")
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s, want %s", log, want)
		}
	}
}

func TestTheLogPageListsTheKeysOfTheLineOfADecision(t *testing.T) {
	log := &lockedBuffer{}
	op := runInDirectory(t, logr.FromSlogHandler(slog.NewJSONHandler(log, nil)), testPolicies, "--observe")
	const calls = 2
	for _, address := range []string{"jo@other.example", "jo@"} { // denied, with a policy in mode Audit that would allow; no address
		if got := op.post(t, testCredential, signUp(address)); got != http.StatusOK {
			t.Fatalf("a call: %d", got)
		}
	}
	lines, times := 0, map[string]int{}
	for text := range strings.Lines(log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line["msg"] != "Decided" {
			continue
		}
		if line["logger"] != "hook" || line["level"] != "INFO" {
			t.Errorf("logger %v, level %v; the page says hook, INFO", line["logger"], line["level"])
		}
		lines++
		for key := range line {
			times[key]++
		}
	}
	if lines != calls {
		t.Fatalf("%d lines of decisions, want %d", lines, calls)
	}
	var want []string
	for key, found := range times {
		switch {
		case key == "time" || key == "level" || key == "msg" || key == "logger": // of every line
		case found == calls && key != "observed": // every call is observed, or none
			want = append(want, "`"+key+"` | always")
		default:
			want = append(want, "`"+key+"` | sometimes")
		}
	}
	for _, difference := range reference.Differences("../../docs/reference/log-fields.md", "The line of a decision", want, 2) {
		t.Error(difference)
	}
}
