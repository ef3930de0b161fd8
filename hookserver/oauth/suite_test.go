package oauth

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"registrationpolicy.dev/operator/test/oauthissuer"
)

// bits is the length of an issuer's keys, as Okta has them.
const bits = 2048

// optionsFor returns the options by which an issuer's tokens are accepted.
func optionsFor(issuer *oauthissuer.Issuer) Options {
	return Options{
		Issuer: issuer.URL, Audience: oauthissuer.Audience, ClientIDs: []string{oauthissuer.ClientID}, Scope: oauthissuer.Scope,
		CAFile: issuer.CAFile,
	}
}

// made returns a verifier that is not running.
func made(t testing.TB, options Options) *Verifier {
	t.Helper()
	v, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fetched returns a verifier that has the issuer's keys of now, and is not running.
func fetched(t testing.TB, issuer *oauthissuer.Issuer, change ...func(*Options)) *Verifier {
	t.Helper()
	options := optionsFor(issuer)
	for _, change := range change {
		change(&options)
	}
	v := made(t, options)
	if err := v.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v
}

// expect verifies a token; want is "" for one that is accepted.
func expect(t testing.TB, v *Verifier, token string, want Cause) {
	t.Helper()
	client, cause, ok := v.Verify(token)
	if cause != want || ok != (want == "") {
		t.Errorf("cause %q, accepted %v; want cause %q", cause, ok, want)
	}
	if ok != (client != "") {
		t.Errorf("client %q, accepted %v", client, ok)
	}
}

// running starts a verifier, until the test ends or stop is called.
func running(t testing.TB, v *Verifier) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// lines are what a verifier logs.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) logger() logr.Logger {
	return funcr.New(func(_, line string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.text.WriteString(line + "\n")
	}, funcr.Options{})
}

func (l *lines) count(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), `"msg"="`+message+`"`)
}
