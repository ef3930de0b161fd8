package proxies

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// allowedBody is the call of a person whom the policy allows.
const allowedBody = `{"eventType":"com.okta.user.pre-registration",` +
	`"data":{"userProfile":{"login":"jo@example.com","email":"jo@example.com"}}}`

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestRefusalsArriveAsTheOperatorGaveThem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body   string
		change func(*http.Request)
		want   int
	}{
		"no credential":                   {allowedBody, func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"a wrong credential":              {allowedBody, set("Authorization", credential+"x"), 401},
		"another method":                  {"", func(r *http.Request) { r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0 }, 405},
		"another method with a body":      {allowedBody, func(r *http.Request) { r.Method = http.MethodPut }, 405},
		"another content type":            {allowedBody, set("Content-Type", "application/x-www-form-urlencoded"), 415},
		"a compressed body":               {allowedBody, set("Content-Encoding", "gzip"), 415},
		"a body over 64 KiB":              {allowedBody + strings.Repeat(" ", 65<<10), nil, 413},
		"a body over 64 KiB, in chunks":   {allowedBody + strings.Repeat(" ", 65<<10), func(r *http.Request) { r.ContentLength = -1 }, 413},
		"a body far over 64 KiB":          {allowedBody + strings.Repeat(" ", 900<<10), nil, 413},
		"a body that is not JSON":         {"{", nil, 400},
		"a body in chunks":                {allowedBody, func(r *http.Request) { r.ContentLength = -1 }, 200},
		"no content type":                 {allowedBody, func(r *http.Request) { r.Header.Del("Content-Type") }, 200},
		"a caller who waits for Continue": {allowedBody, set("Expect", "100-continue"), 200},
	}
	behindEach(t, func(t *testing.T, kind Kind) {
		direct, proxied := twoWays(t, kind)
		for name, test := range tests {
			change := func(r *http.Request) {
				if test.change != nil {
					test.change(r)
				}
			}
			want, got := direct.call(t, []byte(test.body), change), proxied.call(t, []byte(test.body), change)
			if difference := cmp.Diff(want, got); difference != "" {
				t.Errorf("%s: another answer through the proxy:\n%s", name, difference)
			}
			if got.Status != test.want {
				t.Errorf("%s: %d, want %d", name, got.Status, test.want)
			}
		}
	})
}

func TestWhatTheCallerSaysOfItselfChangesNoAnswer(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		direct, proxied := twoWays(t, kind)
		want := direct.call(t, []byte(allowedBody))
		for name, value := range map[string]string{
			"X-Forwarded-For": "10.0.0.1, 127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "elsewhere.example",
			"X-Real-IP": "10.0.0.1", "X-Original-URL": "/elsewhere", "X-Rewrite-URL": "/elsewhere", "X-HTTP-Method-Override": "GET",
			"X-Request-ID": "a b", "Forwarded": "for=10.0.0.1;host=elsewhere.example", "Via": "1.0 elsewhere", "Cookie": "a=b",
			"Connection": "X-Request-ID",
		} {
			if difference := cmp.Diff(want, proxied.call(t, []byte(allowedBody), set(name, value))); difference != "" {
				t.Errorf("%s: another answer:\n%s", name, difference)
			}
		}
	})
}

func TestTwoCredentialsAreRefusedInWhateverOrder(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Authorization", ownHeader} {
		right, wrong := header+": "+credential, header+": Basic d3Jvbmc6d3Jvbmctd3Jvbmctd3Jvbmc="
		refused := map[string][]string{
			"the wrong one first":             {wrong, right},
			"the right one first":             {right, wrong},
			"the right one twice":             {right, right},
			"an empty one first":              {header + ":", right},
			"an empty one last":               {right, header + ":"},
			"in another case":                 {strings.ToLower(wrong), strings.ToUpper(header) + ": " + credential},
			"with other lines between":        {right, "X-Other: 1", wrong},
			"both in one line":                {wrong + ", " + credential},
			"the right one before a comma":    {right + ", "},
			"the right one, folded":           {header + ":", " " + wrong + "," + credential},
			"with an underscore":              {strings.ReplaceAll(header, "-", "_") + "_: " + credential},
			"with a space before the colon":   {header + " : " + credential},
			"with a bare line feed before it": {"X-Other: 1\n" + wrong, right},
		}
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			behindEach(t, func(t *testing.T, kind Kind) {
				proxy := Start(t, kind, Options{Backends: startReplicas(t, 1, "--hook-auth-header", header)})
				if got := through(t, proxy, post(allowedBody, right)); !allows(got) {
					t.Fatalf("with one credential: %s", got)
				}
				for name, lines := range refused {
					switch status := statusOf(t, through(t, proxy, post(allowedBody, lines...))); status {
					case http.StatusUnauthorized, http.StatusBadRequest:
						t.Logf("%s: %d", name, status)
					default:
						t.Errorf("%s: %d, want 401, or 400 from the proxy", name, status)
					}
				}
			})
		})
	}
}
