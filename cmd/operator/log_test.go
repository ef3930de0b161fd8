package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/rules"
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

// The line of a decision does not pass through the handler of the other lines.
func TestTheLineOfADecisionHasTheFormatOfTheOthers(t *testing.T) {
	snapshot, _ := rules.Compile(nil)
	store := &rules.Store{}
	store.Publish(snapshot)
	volatile := regexp.MustCompile(`("?(?:time|decisionID|duration)"?[:=])[^ ,]+`)
	for _, format := range []string{"json", "text"} {
		o := &options{logFormat: format, logLevel: "info"}
		lines := map[bool]string{}
		for _, direct := range []bool{false, true} {
			log := &lockedBuffer{}
			hook := hookserver.Options{
				Store: store, InsecureNoAuthentication: true, Registerer: prometheus.NewRegistry(),
				Logger: logr.FromSlogHandler(newLogHandler(o, log)).WithName(hookLogger),
			}
			if direct {
				hook.DecisionLog = newDecisionLog(o, log)
			}
			server, err := hookserver.New(hook)
			if err != nil {
				t.Fatal(err)
			}
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, hookserver.DefaultPath, strings.NewReader(signUp("jo@other.example")))
			server.Handler().ServeHTTP(httptest.NewRecorder(), request)
			lines[direct] = volatile.ReplaceAllString(log.String(), "$1*")
		}
		if lines[true] != lines[false] || !strings.Contains(lines[true], "Decided") {
			t.Errorf("%s\nwant, as the handler writes it,\n%s", lines[true], lines[false])
		}
	}
}

// Lines about a suspicious but working setup have the level WARN: --log-level warn shows only these.
func TestASetupThatIsProbablyNotMeantIsAWarning(t *testing.T) {
	log := &lockedBuffer{}
	logger := newLogger(&options{logFormat: "json", logLevel: "warn"}, log)
	dir, auth := t.TempDir(), t.TempDir()
	write(t, dir, "policies.yaml", testPolicies)
	write(t, dir, "policies.yaml.orig", "")
	write(t, auth, "current", "Basic YWRtaW46c3VwZXJzZWNyZXQ=")
	newTestOperator(t, logger, "--policy-dir", dir, "--insecure-no-authentication", "--observe").logStart()
	newTestOperator(t, logger, "--policy-dir", dir, "--hook-auth-dir", auth)
	warnings := map[string]int{}
	for text := range strings.Lines(log.String()) {
		var line struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line.Level != "WARN" {
			t.Errorf("with --log-level warn there is %s", text)
		}
		warnings[line.Msg]++
	}
	for _, want := range []string{
		"No authentication: anybody who reaches the hook is answered",
		"Observing: every call is allowed, nothing is enforced",
		"Credential is the example in Okta's documentation: replace it",
		"Not a policy file: its name ends in none of .yaml, .yml, .json",
	} {
		if warnings[want] == 0 {
			t.Errorf("no warning %q in\n%s", want, log)
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
