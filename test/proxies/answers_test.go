package proxies

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/vectors"
)

// answer is the status of an answer, with the header lines and the body that Okta reads.
type answer struct {
	Status                     int
	ContentType, ContentLength string
	Allow, RetryAfter          string
	Body                       string
}

// decisionID matches the decision's id in an answer's debugContext. The id is different in each answer, and is also in
// texts for the user.
var decisionID = regexp.MustCompile(`"decisionID":"([A-Z2-7]{26})"`)

// withoutID returns an answer's body in which the decision's id is replaced by as many blanks.
func withoutID(body []byte) string {
	found := decisionID.FindSubmatch(body)
	if found == nil {
		return string(body)
	}
	return strings.ReplaceAll(string(body), string(found[1]), strings.Repeat("-", len(found[1])))
}

// proxyBodyLimit is the length in bytes up to which the proxies accept a body. The operator's limit is lower.
const proxyBodyLimit = 1 << 20

// caller makes calls to one URL.
type caller struct {
	client *http.Client
	url    string
}

// newCaller returns a caller of the hook at url, which trusts roots.
func newCaller(t *testing.T, url string, roots *x509.CertPool) *caller {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{client: &http.Client{Transport: transport, Timeout: patience}, url: url}
}

// call posts a body with the valid credential. change may change the request.
func (c *caller) call(t *testing.T, body []byte, change ...func(*http.Request)) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	request.Header.Set("Content-Type", "application/json")
	for _, change := range change {
		change(request)
	}
	response, err := c.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	header := response.Header
	return answer{
		response.StatusCode, header.Get("Content-Type"), header.Get("Content-Length"), header.Get("Allow"), header.Get("Retry-After"),
		withoutID(content),
	}
}

// twoWays returns two callers of the same replica: one without a proxy, and one through a proxy.
func twoWays(t *testing.T, kind Kind, flags ...string) (direct, proxied *caller) {
	t.Helper()
	hooks := startReplicas(t, 2, flags...)
	proxy := Start(t, kind, Options{Backends: hooks})
	return newCaller(t, "http://"+hooks[0]+"/okta/registration", nil), newCaller(t, proxy.URL(), proxy.CAs())
}

func TestEveryAnswerArrivesAsTheOperatorGaveIt(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		direct, proxied := twoWays(t, kind)
		bodies := map[string][]byte{"no body at all": nil}
		for _, file := range vectors.OktaRequests() {
			bodies[file.Name] = file.Body
		}
		for _, row := range vectors.Bodies() {
			bodies[row.ID] = row.Body
		}
		for _, row := range slices.Concat(vectors.Addresses(), vectors.DenyRules()) {
			call, err := oktasim.Registration{Email: row.Email, Login: "user.name"}.Call()
			if err != nil {
				continue // JSON cannot contain this text
			}
			bodies[row.ID] = call.Body
		}
		allowed := 0
		for name, body := range bodies {
			want, got := direct.call(t, body), proxied.call(t, body)
			if len(body) > proxyBodyLimit && want.Status == got.Status {
				continue // the proxy refuses it with its own error page
			}
			if difference := cmp.Diff(want, got); difference != "" {
				t.Errorf("%s: another answer through the proxy:\n%s", name, difference)
			}
			if strings.Contains(got.Body, `"ALLOW"`) {
				allowed++
			}
		}
		if allowed == 0 {
			t.Error("nothing was allowed: the comparison proves little")
		}
		t.Logf("%d bodies, %d of them allowed", len(bodies), allowed)
	})
}
