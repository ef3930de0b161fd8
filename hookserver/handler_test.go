package hookserver

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/rules"
)

func TestStatuses(t *testing.T) {
	server := run(t)
	good := signUp("jo@example.com", "jo@example.com")
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	path := func(path string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Opaque = path }
	}
	method := func(method string) func(*http.Request) {
		return func(r *http.Request) { r.Method = method }
	}
	for sentence, test := range map[string]struct {
		body   string
		change func(*http.Request)
		want   int
	}{
		"a good call":                         {good, func(*http.Request) {}, 200},
		"a query is no part of the path":      {good, path(DefaultPath + "?x=1"), 200},
		"another path":                        {good, path("/"), 404},
		"a path below":                        {good, path(DefaultPath + "/"), 404},
		"a path that some programs clean up":  {good, path("/x/.." + DefaultPath), 404},
		"a path with two slashes":             {good, path("/" + DefaultPath), 404},
		"a path with escapes":                 {good, path("/okta%2fregistration"), 404},
		"another path, by another method":     {"", func(r *http.Request) { path("/x")(r); method("GET")(r) }, 404},
		"GET":                                 {"", method("GET"), 405},
		"PUT":                                 {good, method("PUT"), 405},
		"OPTIONS":                             {"", method("OPTIONS"), 405},
		"no content type":                     {good, func(r *http.Request) { r.Header.Del("Content-Type") }, 200},
		"a charset":                           {good, set("Content-Type", "Application/JSON; charset=UTF-8"), 200},
		"another content type":                {good, set("Content-Type", "text/plain"), 415},
		"a content type that says nothing":    {good, set("Content-Type", ";;"), 415},
		"two content types":                   {good, func(r *http.Request) { r.Header.Add("Content-Type", "application/json") }, 415},
		"identity":                            {good, set("Content-Encoding", "identity"), 200},
		"compressed":                          {good, set("Content-Encoding", "gzip"), 415},
		"64 KiB":                              {good + strings.Repeat(" ", 64<<10-len(good)), func(*http.Request) {}, 200},
		"a byte more":                         {good + strings.Repeat(" ", 64<<10-len(good)+1), func(*http.Request) {}, 413},
		"a byte more, in chunks":              {good + strings.Repeat(" ", 64<<10-len(good)+1), chunked, 413},
		"in chunks":                           {good, chunked, 200},
		"not JSON":                            {good + "}", func(*http.Request) {}, 400},
		"no body":                             {"", func(*http.Request) {}, 400},
		"JSON that makes no sense":            {"[]", func(*http.Request) {}, 200},
		"a bad credential before all of that": {"x", func(r *http.Request) { set("Authorization", "x")(r); set("Content-Type", "x")(r) }, 401},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := server.post(test.body, test.change)
			if got.status != test.want {
				t.Fatalf("status %d, want %d; body %q", got.status, test.want, got.body)
			}
			switch test.want {
			case 200:
				got.read(t)
				return
			case 404:
				if got.body != "" {
					t.Errorf("body %q", got.body)
				}
				return
			case 405:
				if allow := got.header.Get("Allow"); allow != "POST" {
					t.Errorf("Allow %q", allow)
				}
			}
			var body map[string]string
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || len(body) != 1 {
				t.Errorf("body %q", got.body)
			}
			if contentType := got.header.Get("Content-Type"); contentType != "application/json" {
				t.Errorf("Content-Type %q", contentType)
			}
		})
	}
}

func chunked(r *http.Request) { r.ContentLength = -1 }

func TestNoSnapshotYetIsNotTheSameAsNoPolicies(t *testing.T) {
	server := run(t, func(o *Options) { o.Store = new(rules.Store) })
	if got := server.post(signUp("jo@example.com", "jo")); got.status != 503 {
		t.Errorf("status %d without a snapshot, want 503", got.status)
	}
	empty, _ := rules.Compile(nil)
	server.server.options.Store.Publish(empty)
	if got := server.post(signUp("jo@example.com", "jo")).reason(t); got != string(rules.ReasonNoPolicyApplies) {
		t.Errorf("%s with an empty snapshot", got)
	}
}

// replaceVolatile makes an answer comparable: it puts words in place of the decision id and the digest.
func replaceVolatile(t *testing.T, body string, snapshot *rules.Snapshot) string {
	t.Helper()
	var debug struct{ DebugContext struct{ DecisionID string } }
	if err := json.Unmarshal([]byte(body), &debug); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(debug.DebugContext.DecisionID, "(id)", snapshot.Digest(), "(digest)").Replace(body)
}

func TestGoldenAnswers(t *testing.T) {
	partners := rules.Policy{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: "partners"},
		Allow:      rules.AllowRules{Domains: []string{"example.com"}},
		Deny:       rules.DenyRules{Domains: []string{"contractors.example.com"}},
		Profile:    []rules.ProfileAttribute{{Name: "userType", Value: `"Partner"`}, {Name: "tags", Value: `["a"]`}},
		Message:    "Please use your company address ({id}).",
	}
	trial := rules.Policy{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: "trial"},
		Mode:       rules.Audit,
		Allow:      rules.AllowRules{Domains: []string{"example.net"}},
	}
	contradict := func(body string) string {
		return strings.Replace(body, `"source"`, `"requestType":"progressive.profile","source"`, 1)
	}
	for name, test := range map[string]struct {
		body    string
		observe bool
	}{
		"allow-with-profile":             {body: signUp("jo@example.com", "jo@example.com")},
		"allow-contradictory":            {body: contradict(signUp("jo@example.com", "jo@example.com"))},
		"allow-progressive":              {body: call("userProfileUpdate", map[string]any{"email": "jo@example.com"})},
		"allow-no-address-changed":       {body: call("userProfileUpdate", map[string]any{"title": "x"})},
		"deny-by-policy":                 {body: signUp("jo@contractors.example.com", "jo")},
		"deny-login":                     {body: signUp("jo@example.com", "jo@elsewhere.example")},
		"deny-with-audit":                {body: signUp("jo@example.net", "jo")},
		"deny-invalid":                   {body: signUp("jo@@example.com", "jo")},
		"deny-blank":                     {body: signUp("jo@example.com ", "jo")},
		"deny-missing":                   {body: call("userProfile", map[string]any{"login": "jo@example.com"})},
		"deny-unrecognised":              {body: `{"source":"jo"}`},
		"observed":                       {body: signUp("jo@contractors.example.com", "jo"), observe: true},
		"observed-without-updates":       {body: signUp("jo@example.com", "jo"), observe: true},
		"observed-although-unrecognised": {body: `null`, observe: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := run(t, func(o *Options) { o.Observe = test.observe })
			server.publish(partners, trial)
			snapshot, err := server.store.Load()
			if err != nil {
				t.Fatal(err)
			}
			got := server.post(test.body)
			got.read(t)
			text := replaceVolatile(t, got.body, snapshot) + "\n"
			golden := filepath.Join("testdata", name+".json")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestLogLine(t *testing.T) {
	server := run(t)
	server.post(signUp("jo@elsewhere.example", "jo"))
	server.post(signUp("jo@bad_domain", "jo"))
	server.post(signUp("jo@example.com", "jo"))
	lines := server.log.with(t, "Decided")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	snapshot, _ := server.store.Load()
	for i, line := range lines {
		if id, _ := line["decisionID"].(string); len(id) != 26 {
			t.Errorf("decisionID %q", id)
		}
		if duration, _ := line["duration"].(float64); duration <= 0 {
			t.Errorf("duration %v", line["duration"])
		}
		for _, volatile := range []string{"decisionID", "duration", "time", "logger", "level", "msg"} {
			delete(lines[i], volatile)
		}
	}
	common := map[string]any{
		"oktaRequestID": "XWVxW2zcaH5-Ii74OsI6CgAACJw", "eventID": "GOsk4z6tSSeZo6X08MvKaw",
		"source": "rul1bufGk5dJdRYw50g4", "requestType": "SelfServiceRegistration", "digest": snapshot.Digest(),
		"credential": "current",
	}
	line := func(specific map[string]any) map[string]any {
		maps.Copy(specific, common)
		return specific
	}
	want := []map[string]any{
		line(map[string]any{
			"outcome": "DENY", "reason": "NotAllowed", "policy": "", "attribute": "email", "domain": "elsewhere.example",
		}),
		line(map[string]any{
			"outcome": "DENY", "reason": "InvalidAddress", "policy": "", "attribute": "email",
			"invalid": "BadCharacter", "invalidLength": 13.0,
		}),
		line(map[string]any{"outcome": "ALLOW", "reason": "Allowed", "policy": "okta/partners", "attribute": ""}),
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLogDomain(t *testing.T) {
	for _, test := range []struct {
		option         LogDomain
		denied, others bool
	}{
		{LogDomainAlways, true, true},
		{LogDomainDenied, true, false},
		{"", true, false},
		{LogDomainNever, false, false},
	} {
		t.Run(fmt.Sprintf("%q", test.option), func(t *testing.T) {
			server := run(t, func(o *Options) { o.LogDomain = test.option })
			server.post(signUp("jo@elsewhere.example", "jo"))
			server.post(signUp("jo@example.com", "jo"))
			lines := server.log.with(t, "Decided")
			if _, got := lines[0]["domain"]; got != test.denied {
				t.Errorf("of a denied call: %t, want %t", got, test.denied)
			}
			if _, got := lines[1]["domain"]; got != test.others {
				t.Errorf("of an allowed call: %t, want %t", got, test.others)
			}
		})
	}
}

func TestSlowCallersHoldNoPlace(t *testing.T) {
	server := run(t, func(o *Options) { o.MaxInFlight = 1 })
	const slow = 20
	for range slow {
		connection, err := net.Dial("tcp", server.address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		// An accepted credential, and only the first byte of the body.
		fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 900\r\n\r\n{", DefaultPath, secret)
	}
	for range 5 {
		if outcome, _ := server.post(signUp("jo@example.com", "jo")).read(t); outcome != "ALLOW" {
			t.Error(outcome)
		}
	}
	// The slow calls time out.
	eventually(t, "every slow caller is refused", func() bool {
		return strings.Contains(server.metrics(), fmt.Sprintf(`http_requests_total{code="400"} %d`, slow))
	})
}

// A connection without an accepted credential is closed after the answer, because connections are limited.
func TestUnauthenticatedConnectionsAreClosed(t *testing.T) {
	server := run(t)
	for sentence, request := range map[string]string{
		"without a credential": "POST " + DefaultPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"by another method":    "GET " + DefaultPath + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"on another path":      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"who says nothing":     "",
	} {
		t.Run(sentence, func(t *testing.T) {
			connection, err := net.Dial("tcp", server.address)
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(connection, request)
			if _, err := io.Copy(io.Discard, connection); err != nil {
				t.Errorf("the server did not end the connection: %v", err)
			}
		})
	}
}

func TestStrangersDoNotSilenceTheLinesAboutCallers(t *testing.T) {
	server := run(t)
	for range 2 * logBurst {
		server.post("{}", func(r *http.Request) { r.Header.Set("Authorization", "guess") })
	}
	if got := server.post("not JSON"); got.status != http.StatusBadRequest {
		t.Fatalf("status %d", got.status)
	}
	if lines := server.log.with(t, "Call refused"); len(lines) != 1 {
		t.Errorf("%d lines about a caller with a credential, want 1", len(lines))
	}
}

func TestA401DoesNotWaitForTheBody(t *testing.T) {
	// This server has no timeouts: if it waited for the body, it would wait for ever.
	patient := httptest.NewServer(run(t).server.Handler())
	defer patient.Close()
	connection, err := net.Dial("tcp", patient.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n", DefaultPath)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusUnauthorized || !response.Close {
		t.Errorf("status %d, close %t", response.StatusCode, response.Close)
	}
}

// panicking is a log that panics at a decision.
type panicking struct{ logr.LogSink }

func (p panicking) Info(level int, message string, keysAndValues ...any) {
	if message == "Decided" {
		panic("the address is jo.personal@example.com")
	}
	p.LogSink.Info(level, message, keysAndValues...)
}

func TestAPanicAnswers500AndIsCounted(t *testing.T) {
	server := run(t, func(o *Options) {
		o.MaxInFlight, o.DecisionLog = 1, nil
		o.Logger = logr.New(panicking{o.Logger.GetSink()})
	})
	for range 3 { // and gives its place back
		if got := server.post(signUp("jo@example.com", "jo")); got.status != http.StatusInternalServerError {
			t.Errorf("status %d", got.status)
		}
	}
	server.hasMetric("panics_total 3")
	server.hasMetric(`http_requests_total{code="500"} 3`)
	if log := server.log.text(); !strings.Contains(log, "Panic") || strings.Contains(log, "jo.personal") {
		t.Errorf("log: %s", log)
	}
}

func TestHTTP2OverTLS(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	server, err := New(Options{
		Store: storeOf(allowing("example.com")), InsecureNoAuthentication: true, Registerer: prometheus.NewPedanticRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener, &tls.Config{Certificates: certificate.TLS.Certificates}) }()

	request, err := http.NewRequest(http.MethodPost, "https://"+listener.Addr().String()+DefaultPath,
		strings.NewReader(signUp("jo@example.com", "jo")))
	if err != nil {
		t.Fatal(err)
	}
	transport := certificate.Client().Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = true
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || response.ProtoMajor != 2 {
		t.Errorf("status %d over %s", response.StatusCode, response.Proto)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestShutdownAnswersWhatIsInFlight(t *testing.T) {
	server := run(t)
	connection, err := net.Dial("tcp", server.address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	body := signUp("jo@example.com", "jo")
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n", DefaultPath, secret, len(body))
	eventually(t, "the call is in the server", func() bool {
		return strings.Contains(server.metrics(), `authentications_total{credential="current",result="accepted"} 1`)
	})
	done := make(chan error, 1)
	go func() { done <- server.server.Shutdown(t.Context()) }()
	eventually(t, "the listener is closed", func() bool {
		probe, err := net.Dial("tcp", server.address)
		if err == nil {
			probe.Close()
		}
		return err != nil
	})
	io.WriteString(connection, body)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
