package controllers

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/test/apiserver"
)

// deaf is a transport by which, once it is told so, the watches that are open then bring nothing any more, on connections that live.
type deaf struct {
	next  http.RoundTripper
	since *atomic.Pointer[chan struct{}] // closed once they bring nothing
	of    string                         // a part of the path of those that it is about; "" is all
}

func (d *deaf) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := d.next.RoundTrip(request)
	if err == nil && request.URL.Query().Get("watch") != "" && strings.Contains(request.URL.Path, d.of) {
		response.Body = &deafBody{ReadCloser: response.Body, since: *d.since.Load(), closed: make(chan struct{})}
	}
	return response, err
}

type deafBody struct {
	io.ReadCloser
	since  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (b *deafBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	select {
	case <-b.since:
		<-b.closed
		return 0, io.ErrUnexpectedEOF
	default:
		return n, err
	}
}

func (b *deafBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

func TestAWatchThatDiedInSilenceIsMadeAnew(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	config := rest.CopyConfig(cluster.Config)
	dead := make(chan struct{})
	var since atomic.Pointer[chan struct{}]
	since.Store(&dead)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &deaf{next: next, since: &since} }) // of each client
	const limit = 10 * time.Second
	r := startReplicaAs(t, config, namespace, "first", setup{watchdogLimit: limit})
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "ALLOW Allowed")

	alive := make(chan struct{})
	since.Store(&alive) // for those to come
	close(dead)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	eventuallyAnswers(t, limit+within, r.store, localPart+"@beta.example", "ALLOW Allowed")
	if given := metric(t, r.registry, "registration_policy_watch_restarts_total"); given == 0 {
		t.Error("no watch was given up")
	}
}

// Whoever may write a list must not be able to hold up policies by that: here its watch never brings what was written.
func TestAListThatIsAheadOfItsWatchHoldsUpNoPolicyForLong(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Keep(t, apiserver.List(namespace, "bad", map[string]string{"entries": "listed.example\n"}))
	cluster.Apply(t, namespace, "open", `{allow: {domains: ["*"]}}`)
	config := rest.CopyConfig(cluster.Config)
	dead := make(chan struct{})
	var since atomic.Pointer[chan struct{}]
	since.Store(&dead)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &deaf{next: next, since: &since, of: "/configmaps"}
	})
	r := startReplica(t, config, namespace, "first")
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "ALLOW Allowed")

	close(dead)
	cluster.Keep(t, apiserver.List(namespace, "bad", map[string]string{"entries": "newer.example\n"}))
	cluster.Apply(t, namespace, "deny", `{deny: {domains: [acme.com], lists: [{configMap: {name: bad}}]}}`)
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "DENY Denied")
	eventuallyAnswers(t, within, r.store, localPart+"@newer.example", "DENY Denied")
}
