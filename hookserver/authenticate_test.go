package hookserver

import (
	"net/http"
	"strings"
	"testing"
)

func TestAuthentication(t *testing.T) {
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Authorization")
			for _, value := range values {
				r.Header.Add(name, value)
			}
		}
	}
	for sentence, test := range map[string]struct {
		change     func(*http.Request)
		authHeader string
		want       int
		result     string
	}{
		"the accepted value":                  {header("Authorization", secret), "", 200, authAccepted},
		"in a header of any case":             {header("aUTHORIZATION", secret), "", 200, authAccepted},
		"another value":                       {header("Authorization", secret+"x"), "", 401, authUnknown},
		"a part of the value":                 {header("Authorization", secret[:len(secret)-1]), "", 401, authUnknown},
		"in another case":                     {header("Authorization", strings.ToUpper(secret)), "", 401, authUnknown},
		"an empty value":                      {header("Authorization", ""), "", 401, authUnknown},
		"the credential's name":               {header("Authorization", "current"), "", 401, authUnknown},
		"no header":                           {header("Authorization"), "", 401, authMissing},
		"another header":                      {header("X-Api-Key", secret), "", 401, authMissing},
		"two lines, both right":               {header("Authorization", secret, secret), "", 401, authRepeated},
		"two lines, the first right":          {header("Authorization", secret, "x"), "", 401, authRepeated},
		"two lines, the last right":           {header("Authorization", "x", secret), "", 401, authRepeated},
		"two values in one line":              {header("Authorization", secret+", "+secret), "", 401, authUnknown},
		"a header of our choice":              {header("X-Api-Key", secret), "x-api-key", 200, authAccepted},
		"the usual header, for our choice":    {header("Authorization", secret), "x-api-key", 401, authMissing},
		"a query in place of a header":        {func(r *http.Request) { header("x")(r); r.URL.RawQuery = "Authorization=x" }, "", 401, authMissing},
		"a header whose name has underscores": {header("X_Api_Key", secret), "x-api-key", 401, authMissing},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := run(t, func(o *Options) { o.AuthHeader = test.authHeader })
			got := server.post(signUp("jo@example.com", "jo"), test.change)
			if got.status != test.want {
				t.Errorf("status %d, want %d", got.status, test.want)
			}
			name := ""
			if test.result == authAccepted {
				name = "current"
			}
			server.hasMetric(`authentications_total{credential="` + name + `",result="` + test.result + `"} 1`)
		})
	}
}

func TestInsecureModeAsksForNothing(t *testing.T) {
	server := run(t, func(o *Options) { o.Credentials, o.InsecureNoAuthentication = nil, true })
	got := server.post(signUp("jo@example.com", "jo"), func(r *http.Request) { r.Header.Del("Authorization") })
	if outcome, _ := got.read(t); outcome != "ALLOW" {
		t.Error(outcome)
	}
	server.hasMetric(`authentications_total{credential="",result="disabled"} 1`)
}

func TestFailedAuthenticationsAreCountedAndTheirLogIsBounded(t *testing.T) {
	server := run(t)
	const calls = 100
	for range calls {
		if got := server.post("", func(r *http.Request) { r.Header.Set("Authorization", "guess") }); got.status != 401 {
			t.Fatalf("status %d", got.status)
		}
	}
	server.hasMetric(`authentications_total{credential="",result="unknown"} 100`)
	lines := server.log.with(t, "Authentication failed")
	if len(lines) < 1 || len(lines) > logBurst+5 {
		t.Errorf("%d lines for %d calls", len(lines), calls)
	}
	suppressed := server.server.authenticationLog.suppressed.Load()
	for _, line := range lines {
		suppressed += int64(line["suppressed"].(float64))
	}
	if int(suppressed)+len(lines) != calls {
		t.Errorf("%d lines and %d suppressed, for %d calls", len(lines), suppressed, calls)
	}
}
