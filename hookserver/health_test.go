package hookserver

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

const healthPath = "/health/hook"

func always() bool { return true }

// request returns a request without a credential.
func (r *running) request(method, path, body string) *http.Request {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.address+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	return request
}

func TestHealthChecks(t *testing.T) {
	var ready atomic.Bool
	server := run(t, func(o *Options) { o.HealthPath, o.Ready = healthPath, ready.Load })
	for sentence, test := range map[string]struct {
		ready        bool
		method, path string
		body         string
		want         int
	}{
		"ready":                       {true, "GET", healthPath, "", 200},
		"ready, without a body":       {true, "HEAD", healthPath, "", 200},
		"not ready":                   {false, "GET", healthPath, "", 503},
		"not ready, without a body":   {false, "HEAD", healthPath, "", 503},
		"a query":                     {true, "GET", healthPath + "?x=1", "", 200},
		"a body that is not read":     {true, "GET", healthPath, "{}", 200},
		"a call at the wrong path":    {true, "POST", healthPath, "{}", 405},
		"the same of an unready one":  {false, "POST", healthPath, "{}", 405},
		"OPTIONS":                     {true, "OPTIONS", healthPath, "", 405},
		"a path below":                {true, "GET", healthPath + "/", "", 404},
		"a path that is not clean":    {true, "GET", "/health/./hook", "", 404},
		"an escaped slash":            {true, "GET", "/health%2Fhook", "", 404},
		"the hook itself":             {true, "GET", DefaultPath, "", 405},
		"a call without a credential": {true, "POST", DefaultPath, "{}", 401},
	} {
		t.Run(sentence, func(t *testing.T) {
			ready.Store(test.ready)
			response, err := http.DefaultClient.Do(server.request(test.method, test.path, test.body))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("status %d, want %d", response.StatusCode, test.want)
			}
			if !response.Close {
				t.Error("an unauthenticated caller keeps its connection")
			}
			switch test.want {
			case 200, 503:
				if response.ContentLength != 0 || response.Header.Get("Content-Type") != "" {
					t.Errorf("a health check has a body: %v", response.Header)
				}
			case 405:
				if want, got := map[bool]string{true: "GET, HEAD", false: "POST"}[test.path != DefaultPath], response.Header.Get("Allow"); got != want {
					t.Errorf("Allow %q, want %q", got, want)
				}
			}
		})
	}
}

func TestWithoutAHealthPathThereIsNone(t *testing.T) {
	server := run(t)
	for _, path := range []string{healthPath, "/", "/healthz", "/readyz"} {
		if got := server.do(server.request(http.MethodGet, path, "")); got.status != http.StatusNotFound {
			t.Errorf("GET %s: status %d", path, got.status)
		}
	}
}

// A health check must neither hide a call nor count as one: alerts compare the numbers of requests.
func TestHealthChecksAreNotCounted(t *testing.T) {
	server := run(t, func(o *Options) { o.HealthPath, o.Ready = healthPath, always })
	before := server.metrics()
	for range 3 {
		server.do(server.request(http.MethodGet, healthPath, ""))
	}
	if after := server.metrics(); after != before {
		t.Errorf("three health checks changed the metrics from\n%s\nto\n%s", before, after)
	}
	if lines := server.log.text(); strings.Contains(lines, "health") {
		t.Errorf("logged: %s", lines)
	}
	server.do(server.request(http.MethodPost, healthPath, ""))
	if after := server.metrics(); !strings.Contains(after, `registration_policy_http_requests_total{code="405"} 1`) {
		t.Errorf("a refused request is not counted:\n%s", after)
	}
}

// A panic of Ready is answered as any other.
func TestAPanicInAHealthCheckIsAnswered(t *testing.T) {
	server := run(t, func(o *Options) { o.HealthPath, o.Ready = healthPath, func() bool { panic("no") } })
	if got := server.do(server.request(http.MethodGet, healthPath, "")); got.status != http.StatusInternalServerError {
		t.Errorf("status %d", got.status)
	}
}

// Health checks must not lock Okta out: their connections are unauthenticated, so they are the ones that are closed at the
// limit, and each ends with its answer.
func TestHealthChecksHoldNoConnection(t *testing.T) {
	server := run(t, func(o *Options) { o.HealthPath, o.Ready = healthPath, always })
	for range 50 {
		server.do(server.request(http.MethodGet, healthPath, ""))
	}
	if got := server.post(signUp("jo@example.com", "jo")); got.status != http.StatusOK {
		t.Errorf("a call after them: status %d", got.status)
	}
}
