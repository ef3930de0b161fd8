package storedsnapshot

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// silence is how long an API server may send nothing before it counts as silent. Usually its first byte comes within milliseconds; an
// overloaded one goes on sending, however slowly.
const silence = 2 * time.Second

// Answers watches the requests that read policies and lists, to tell an API server that does not answer from one that is slow.
//
// An API server is silent if for a while a read has been unanswered, and no successful response brought a byte for any read. Errors,
// refusals and refused connections bring none. While every read is answered, it is not silent: what it sent may take long to compile.
// A watch that is quiet after its first list is answered.
type Answers struct {
	mu      sync.Mutex
	last    time.Time            // of the last byte
	awaited map[string]time.Time // the paths of what was asked for and is not here, and since when
	stopped bool
}

// NewAnswers returns one that has seen nothing yet.
func NewAnswers() *Answers { return &Answers{awaited: map[string]time.Time{}} }

// begin waits for the first read from now on.
func (a *Answers) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.awaited) == 0 && a.last.IsZero() {
		a.awaited[""] = time.Now()
	}
}

// Watch makes clients of the configuration, which are made later, tell their answers. They ask for no compression: of a compressed
// answer that comes slowly, the bytes would be seen late.
func (a *Answers) Watch(config *rest.Config) {
	config.DisableCompression = true
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &watchedTransport{next, a} })
}

// Stop ends the watching.
func (a *Answers) Stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped, a.awaited = true, nil
}

// Silent reports whether the API server does not answer.
func (a *Answers) Silent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.last) < silence {
		return false
	}
	for _, since := range a.awaited {
		if time.Since(since) >= silence {
			return true
		}
	}
	return false
}

// ask notes that something is asked for, for the first time or again.
func (a *Answers) ask(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return
	}
	delete(a.awaited, "")
	if _, again := a.awaited[path]; !again {
		a.awaited[path] = time.Now()
	}
}

func (a *Answers) heard() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = time.Now()
}

// got notes that what was asked for is here, or known not to exist.
func (a *Answers) got(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.awaited, path)
}

// watchedTransport tells of each request that reads policies or lists.
type watchedTransport struct {
	http.RoundTripper

	answers *Answers
}

// WrappedRoundTripper returns the transport that sends, for client-go.
func (t *watchedTransport) WrappedRoundTripper() http.RoundTripper { return t.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t *watchedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	read, ok := readOf(request)
	if !ok {
		return t.RoundTripper.RoundTrip(request)
	}
	if !read.watches || read.streamed {
		t.answers.ask(read.path)
	}
	response, err := t.RoundTripper.RoundTrip(request)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode/100 == 2:
		t.answers.heard()
		response.Body = &watchedBody{ReadCloser: response.Body, answers: t.answers, read: read}
	case read.object && response.StatusCode == http.StatusNotFound:
		t.answers.got(read.path)
	}
	return response, nil
}

// watchedRead is a request that reads policies or lists.
type watchedRead struct {
	path     string
	object   bool // one, not a list of them
	watches  bool
	streamed bool // it watches, and begins with a list
}

func readOf(request *http.Request) (watchedRead, bool) {
	_, name, _ := strings.Cut(request.URL.Path, "/namespaces/")
	parts := strings.Split(name, "/") // namespace, resource and perhaps an object
	if request.Method != http.MethodGet || len(parts) < 2 || parts[1] != "registrationpolicies" && parts[1] != "configmaps" {
		return watchedRead{}, false
	}
	query := request.URL.Query()
	watches := query.Get("watch") == "true"
	return watchedRead{
		path: request.URL.Path, object: len(parts) > 2, watches: watches, streamed: watches && query.Get("sendInitialEvents") == "true",
	}, true
}

// watchedBody tells of each byte of a success.
type watchedBody struct {
	io.ReadCloser

	answers *Answers
	read    watchedRead
	tail    []byte // of a streamed list: what the next text may complete to listEnd
}

// listEnd is in the event at the end of a streamed list.
const listEnd = metav1.InitialEventsAnnotationKey

// Read implements [io.Reader].
func (b *watchedBody) Read(text []byte) (int, error) {
	n, err := b.ReadCloser.Read(text)
	if n > 0 {
		b.answers.heard()
	}
	switch {
	case b.read.streamed:
		b.tail = append(b.tail, text[:n]...)
		if bytes.Contains(b.tail, []byte(listEnd)) {
			b.answers.got(b.read.path)
			b.read.streamed, b.tail = false, nil
		}
		b.tail = b.tail[max(0, len(b.tail)-len(listEnd)):]
	case !b.read.watches && errors.Is(err, io.EOF):
		b.answers.got(b.read.path)
	}
	return n, err
}
