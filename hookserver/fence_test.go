package hookserver

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAFencedServerAnswersNoCall(t *testing.T) {
	var closed atomic.Bool
	server := run(t, func(o *Options) { o.Fenced = closed.Load })
	body := signUp("jo@example.com", "jo")
	if got := server.post(body); got.status != http.StatusOK {
		t.Fatalf("before the fence is closed: status %d", got.status)
	}
	server.hasMetric("fenced 0")
	closed.Store(true)
	got := server.post(body)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != retryAfter || strings.Contains(got.body, "commands") {
		t.Errorf("fenced: status %d, Retry-After %q, %s; want 503 and no command", got.status, got.header.Get("Retry-After"), got.body)
	}
	if digest := got.header.Get(digestHeader); digest != "" {
		t.Errorf("an answer that is none names the digest %s", digest)
	}
	server.hasMetric("fenced 1")
	server.hasMetric(`http_requests_total{code="503"} 1`)
	if lines := server.log.with(t, "Call refused"); len(lines) != 1 || lines[0]["cause"] != "Fenced" {
		t.Errorf("the log says %v, want the cause Fenced", lines)
	}
	closed.Store(false)
	if got := server.post(body); got.status != http.StatusOK {
		t.Errorf("after the fence is opened: status %d", got.status)
	}
}

func TestEveryAnswerNamesTheRulesThatItWasDecidedBy(t *testing.T) {
	server := run(t)
	for sentence, body := range map[string]string{
		"an allow":         signUp("jo@example.com", "jo"),
		"a denial":         signUp("jo@elsewhere.example", "jo"),
		"an unknown event": `{"eventType":"other"}`,
	} {
		snapshot, err := server.store.Load()
		if err != nil {
			t.Fatal(err)
		}
		if got := server.post(body); got.status != http.StatusOK || got.header.Get(digestHeader) != snapshot.Digest() {
			t.Errorf("%s: status %d, %s: %q, want %s", sentence, got.status, digestHeader, got.header.Get(digestHeader), snapshot.Digest())
		}
	}
	stranger := server.post(signUp("jo@example.com", "jo"), func(r *http.Request) { r.Header.Set("Authorization", "wrong") })
	if digest := stranger.header.Get(digestHeader); digest != "" {
		t.Errorf("a stranger is told the digest %s", digest)
	}
}
