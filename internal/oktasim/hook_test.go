package oktasim_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"registrationpolicy.dev/operator/internal/oktasim"
)

const credential = "Basic YWRtaW46c3VwZXJzZWNyZXQ="

// newHook serves handler on a loopback address and returns a hook that calls it.
func newHook(t *testing.T, handler http.Handler, o oktasim.Options) *oktasim.Hook {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	if o.URL == "" {
		o.URL = server.URL
	}
	hook, err := oktasim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	return hook
}

// documented is a hook in the manner of Okta's documentation: it looks at the e-mail's domain, and denies all but one.
func documented(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != credential {
		http.Error(w, `{"error":"unauthorised"}`, http.StatusUnauthorized)
		return
	}
	var call struct {
		Body struct {
			UserProfile struct {
				Email string `json:"email"`
			} `json:"userProfile"`
		} `json:"data"`
	}
	if err := json.UnmarshalRead(r.Body, &call); err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if strings.HasSuffix(call.Body.UserProfile.Email, "@example.com") {
		io.WriteString(w, `{"commands":[`+allow+`]}`)
		return
	}
	io.WriteString(w, `{"commands":[`+deny+`],"error":{"errorSummary":"Only acme.com.","errorCauses":[`+emailText+`]}}`)
}

func TestAHookInTheMannerOfOktasDocumentation(t *testing.T) {
	for sentence, c := range map[string]struct {
		email, credential string
		want              oktasim.Result
		faults            []string
	}{
		"lets the right domain in": {
			email: "jo@example.com", credential: credential,
			want: oktasim.Result{Outcome: oktasim.Registered, Status: 200, Attempts: 1},
		},
		"turns another domain away with its text": {
			email: "jo@example.org", credential: credential,
			want: oktasim.Result{
				Outcome: oktasim.Denied, Status: 200, Attempts: 1,
				Classic: top("Only acme.com."), IdentityEngine: oktasim.Page{{Text: "Only acme.com.", Attribute: "email"}},
			},
		},
		"fails for everyone when the credential is wrong": {
			email: "jo@example.com", credential: "Basic wrong",
			want:   oktasim.Result{Status: 401, Attempts: 1, Classic: top(creating), IdentityEngine: top(creating)},
			faults: []string{"status 401"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			hook := newHook(t, http.HandlerFunc(documented), oktasim.Options{Credential: c.credential})
			got, err := hook.Register(t.Context(), oktasim.Registration{Email: c.email})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(oktasim.Result{}, "Faults", "Latency", "LastLatency", "Header")); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			wantFaults(t, c.faults, got.Faults)
			if got.Latency <= 0 {
				t.Error("no latency")
			}
		})
	}
}

func TestTheHeaderOfTheAnswerIsInTheResultWithoutTheCredential(t *testing.T) {
	hook := newHook(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Rules", "sha256:1")
		w.Header().Set("X-Mirror", "got "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNoContent)
	}), oktasim.Options{Credential: credential})
	got, err := hook.Register(t.Context(), oktasim.Registration{Email: "jo@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if rules, mirror := got.Header.Get("X-Rules"), got.Header.Get("X-Mirror"); rules != "sha256:1" || mirror != "got "+oktasim.Redacted {
		t.Errorf("headers %q and %q", rules, mirror)
	}
}

func TestTheCallOnTheWire(t *testing.T) {
	call, err := oktasim.Registration{Email: "jo@example.com", RequestID: "req1"}.Call()
	if err != nil {
		t.Fatal(err)
	}
	hook := newHook(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(body, call.Body) {
			t.Errorf("body is %q (%v)", body, err)
		}
		want := http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"Okta-Integrations"}, "X-Okta-Request-Id": {"req1"},
			"X-Hook-Secret": {credential}, "Content-Length": {strconv.Itoa(len(body))},
		}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
		if r.Method != http.MethodPost || r.Proto != "HTTP/1.1" || r.Close {
			t.Errorf("called by %s %s, close %v", r.Method, r.Proto, r.Close)
		}
		w.WriteHeader(http.StatusNoContent)
	}), oktasim.Options{Header: "X-Hook-Secret", Credential: credential})
	got, err := hook.Post(t.Context(), call)
	if err != nil || got.Outcome != oktasim.Registered {
		t.Errorf("result is %+v (%v)", got, err)
	}
}

func TestWhenOktaCallsAgain(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	cutBody := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "{")
	}
	bare := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
	}
	for sentence, c := range map[string]struct {
		handlers []http.HandlerFunc // one an attempt; the last for all later ones
		attempts int
		want     oktasim.Outcome
		made     int
		faults   []string
	}{
		"not after 204": {handlers: []http.HandlerFunc{status(204)}, want: oktasim.Registered, made: 1},
		"not after a 200 that it cannot read": {
			handlers: []http.HandlerFunc{bare}, made: 1, faults: []string{"empty body"},
		},
		"not after a 4xx": {handlers: []http.HandlerFunc{status(400)}, made: 1, faults: []string{"status 400"}},
		"not after a redirect, which it does not follow": {
			handlers: []http.HandlerFunc{http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP, status(204)},
			made:     1, faults: []string{"does not follow redirects"},
		},
		"once after a 5xx": {
			handlers: []http.HandlerFunc{status(503)}, made: 2, faults: []string{"attempt 1: status 503", "status 503"},
		},
		"twice, if told so": {
			handlers: []http.HandlerFunc{status(503), status(500), status(204)}, attempts: 3,
			want: oktasim.Registered, made: 3, faults: []string{"attempt 1: status 503", "attempt 2: status 500"},
		},
		"never, if told so": {
			handlers: []http.HandlerFunc{status(503)}, attempts: 1, made: 1, faults: []string{"status 503"},
		},
		"after a connection that breaks": {
			handlers: []http.HandlerFunc{cut, status(204)}, want: oktasim.Registered, made: 2,
			faults: []string{"attempt 1: connection error"},
		},
		"after an answer that breaks off": {
			handlers: []http.HandlerFunc{cutBody, status(204)}, want: oktasim.Registered, made: 2,
			faults: []string{"attempt 1: connection error"},
		},
		"after a timeout": {
			handlers: []http.HandlerFunc{hang}, made: 2,
			faults: []string{"attempt 1: no complete answer within 100ms", "no complete answer within 100ms"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			var mu sync.Mutex
			var bodies [][]byte
			hook := newHook(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				bodies = append(bodies, body)
				handler := c.handlers[min(len(bodies), len(c.handlers))-1]
				mu.Unlock()
				handler(w, r)
			}), oktasim.Options{Attempts: c.attempts, Timeout: patience(sentence)})
			got, err := hook.Register(t.Context(), oktasim.Registration{Email: "jo@example.com"})
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got.Outcome != c.want || got.Attempts != c.made || len(bodies) != c.made {
				t.Errorf("%s after %d attempts, %d seen; want %s after %d", got.Outcome, got.Attempts, len(bodies), c.want, c.made)
			}
			for _, body := range bodies[1:] {
				if !bytes.Equal(body, bodies[0]) {
					t.Error("a later attempt sent another body")
				}
			}
			wantFaults(t, c.faults, got.Faults)
		})
	}
}

// patience is short where the hook never answers, and Okta's own otherwise.
func patience(sentence string) time.Duration {
	if strings.Contains(sentence, "timeout") {
		return 100 * time.Millisecond
	}
	return oktasim.DefaultTimeout
}

func TestAnAnswerThatNeverEndsIsCutAt256KB(t *testing.T) {
	hook := newHook(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 64<<10)); err != nil {
				return
			}
		}
	}), oktasim.Options{})
	got, err := hook.Register(t.Context(), oktasim.Registration{})
	if err != nil || got.Outcome != oktasim.Failed || got.Attempts != 1 {
		t.Errorf("result is %+v (%v)", got, err)
	}
	wantFaults(t, []string{"256 KB"}, got.Faults)
}

func TestAHookOnIPv6AloneCannotBeReached(t *testing.T) {
	_, port, err := net.SplitHostPort(newListener(t).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hook := newHook(t, http.NotFoundHandler(), oktasim.Options{URL: "http://[::1]:" + port})
	got, err := hook.Register(t.Context(), oktasim.Registration{})
	if err != nil || got.Outcome != oktasim.Failed || got.Attempts != oktasim.DefaultAttempts {
		t.Errorf("result is %+v (%v)", got, err)
	}
	wantFaults(t, []string{"attempt 1: connection error", "connection error"}, got.Faults)
}

// newListener listens on a loopback port, on IPv4 where the machine has no IPv6: an IPv6 address must fail either way.
func newListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestACertificateThatNobodyVouchesForIsAConnectionError(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the handshake that must fail
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for sentence, c := range map[string]struct {
		options oktasim.Options
		want    oktasim.Outcome
	}{
		"unknown": {oktasim.Options{URL: server.URL}, oktasim.Failed},
		"known":   {oktasim.Options{URL: server.URL, RootCAs: roots}, oktasim.Registered},
	} {
		t.Run(sentence, func(t *testing.T) {
			hook, err := oktasim.New(c.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(hook.Close)
			got, err := hook.Register(t.Context(), oktasim.Registration{})
			if err != nil || got.Outcome != c.want {
				t.Errorf("result is %+v (%v)", got, err)
			}
		})
	}
}

func TestAContextThatEndsIsAnErrorAndNotAResult(t *testing.T) {
	hook := newHook(t, http.NotFoundHandler(), oktasim.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hook.Register(ctx, oktasim.Registration{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestOptionsThatCannotBeUsedAreNamedWithoutTheirSecrets(t *testing.T) {
	const url = "http://hook.example/okta"
	for want, o := range map[string]oktasim.Options{
		"URL: does not begin":  {URL: "hook.example"},
		"URL: not a URL":       {URL: "http://s3cret\n"},
		"URL: has a user name": {URL: "https://jo:s3cret@hook.example"},
		"header":               {URL: url, Header: "a b"},
		"credential":           {URL: url, Credential: "s3cret\n"},
		"timeout":              {URL: url, Timeout: -1},
		"attempts: must be 1":  {URL: url, Attempts: 4},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := oktasim.New(o)
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error is %v", err)
			}
		})
	}
}
