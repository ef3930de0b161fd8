package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
)

// serverLog lets a hook server with the policies of the quick start decide calls. It returns the log of the server, and
// Okta's System Log with an event for each answer.
func serverLog(t *testing.T, handler func(io.Writer) slog.Handler, domain hookserver.LogDomain, calls []oktasim.Registration) (log, events string) {
	t.Helper()
	t.Chdir(verbtest.WorkTree)
	source := policysource.Location{Paths: []string{quickstart}}
	policies, err := source.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, _ := rules.Compile(policies.Rules())
	var store rules.Store
	store.Publish(snapshot)
	var lines bytes.Buffer
	server, err := hookserver.New(hookserver.Options{
		Store: &store, InsecureNoAuthentication: true, Registerer: prometheus.NewRegistry(), Logger: logr.FromSlogHandler(handler(&lines)), LogDomain: domain,
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, registration := range calls {
		call, err := registration.Call()
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, hookserver.DefaultPath, bytes.NewReader(call.Body))
		request.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		server.Handler().ServeHTTP(recorder, request)
		var answer struct{ DebugContext json.RawMessage }
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%v: %s", err, recorder.Body)
		}
		all = append(all, fmt.Sprintf(`{"uuid":"1","debugContext":{"debugData":{"debugContext":%q}}}`, answer.DebugContext))
	}
	return lines.String(), "[" + strings.Join(all, ",\n") + "]"
}

// TestReplayAgreesWithTheLogOfAServer holds the reader to the log that a server writes: its decisions by the same
// policies are told, and are what the log says.
func TestReplayAgreesWithTheLogOfAServer(t *testing.T) {
	calls := []oktasim.Registration{
		{Email: "jo@acme.com"}, {Email: "jo@a.acme.com", Source: "rul1"}, {Email: "jo@contractors.acme.com"}, {Email: "jo@other.example"},
		{Email: "j o@acme.com"}, {}, {Email: "jo@acme.com", Login: "jo@other.example"}, {Email: "jo@acme.com", Source: "jo@acme.com"},
		{Shape: oktasim.ProgressiveProfile, Update: map[string]any{"email": "kim@acme.com"}},
		{Shape: oktasim.ProgressiveProfile, Update: map[string]any{"firstName": "Kim"}},
	}
	inJSON := func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }
	inText := func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }
	withDomains := replayCounts{Calls: 10, StillAllowed: 5, StillDenied: 5, AssumedOneDomain: 4}
	for sentence, test := range map[string]struct {
		handler func(io.Writer) slog.Handler
		domain  hookserver.LogDomain
		events  bool
		want    replayCounts
	}{
		"JSON":                   {inJSON, hookserver.LogDomainAlways, false, withDomains},
		"text":                   {inText, hookserver.LogDomainAlways, false, withDomains},
		"domains of denied only": {inJSON, hookserver.LogDomainDenied, false, replayCounts{Calls: 10, StillAllowed: 1, StillDenied: 5, Unknown: 4}},
		"no domains":             {inText, hookserver.LogDomainNever, false, replayCounts{Calls: 10, StillAllowed: 1, StillDenied: 2, Unknown: 7}},
		"Okta's System Log":      {inJSON, hookserver.LogDomainAlways, true, replayCounts{Calls: 10, StillAllowed: 1, StillDenied: 2, Unknown: 7}},
	} {
		t.Run(sentence, func(t *testing.T) {
			log, events := serverLog(t, test.handler, test.domain, calls)
			if test.events {
				log = events
			}
			got, report := replayed(t, log, "-", "--policies", quickstart)
			if diff := cmp.Diff(test.want, report.Counts); diff != "" || got.Code != console.ExitAllowed || got.Err != "" {
				t.Errorf("exit code %d, %s\n-want +got:\n%s", got.Code, got.Err, diff)
			}
		})
	}
}

func TestReplayUsesThePoliciesBeforeWhereTheLogHasNoDomain(t *testing.T) {
	log, _ := serverLog(t, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }, hookserver.LogDomainDenied, []oktasim.Registration{
		{Email: "jo@acme.com"}, {Email: "jo@acme.com", Source: "jo@acme.com"}, {Email: "jo@other.example"}, {Email: "jo@beta.example"},
	})
	for sentence, test := range map[string]struct {
		before, now []string
		want        replayCounts
	}{
		"nothing narrows": {
			[]string{quickstart}, []string{quickstart, policiesAfter}, replayCounts{Calls: 4, StillAllowed: 2, StillDenied: 1, NewlyAllowed: 1, AssumedOneDomain: 1},
		},
		"something narrows": {[]string{quickstart}, []string{policiesAfter}, replayCounts{Calls: 4, StillDenied: 1, NewlyAllowed: 1, Unknown: 2, AssumedOneDomain: 1}},
		"other policies decided": {
			[]string{policiesBefore}, []string{quickstart, policiesAfter}, replayCounts{Calls: 4, StillDenied: 1, NewlyAllowed: 1, Unknown: 2, AssumedOneDomain: 1},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			args := []string{"-", "--before", test.before[0]}
			for _, path := range test.now {
				args = append(args, "--policies", path)
			}
			if got, report := replayed(t, log, args...); cmp.Diff(test.want, report.Counts) != "" {
				t.Errorf("-want +got:\n%s%s", cmp.Diff(test.want, report.Counts), got.Err)
			}
		})
	}
}
