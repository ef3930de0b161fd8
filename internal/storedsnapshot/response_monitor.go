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

// silentAfter is how long an API server may send nothing before it counts as silent. A healthy API server sends the
// first byte of a response within milliseconds, and an overloaded one keeps sending slowly.
const silentAfter = 2 * time.Second

// ResponseMonitor watches the requests that read policies and their lists. It distinguishes an API server that does not
// answer from a slow one.
//
// An API server is silent if a read has been pending for silentAfter, and no successful response to any read has
// brought a byte in that time. Error responses and refused connections bring no byte in this sense. If no read is
// pending, the API server is not silent: the replica may still be compiling what it has received. A watch that starts
// with a list is pending until that list is complete; any other watch is never pending.
type ResponseMonitor struct {
	mu       sync.Mutex
	lastByte time.Time            // when a successful response last brought a byte
	pending  map[string]time.Time // start of each pending read, by URL path; "" stands for the first read until it is sent
	stopped  bool
}

// NewResponseMonitor returns a monitor. [ResponseMonitor.Instrument] connects it to the clients of the API server.
func NewResponseMonitor() *ResponseMonitor {
	return &ResponseMonitor{pending: map[string]time.Time{}}
}

// start makes a first read pending from now on, before a client has sent one. Otherwise the API server could not count
// as silent until a client sends its first read, however long that takes.
func (m *ResponseMonitor) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) == 0 && m.lastByte.IsZero() {
		m.pending[""] = time.Now()
	}
}

// Instrument makes the monitor watch the requests of all clients that are later built from config. It disables
// compression: a decompressor holds bytes back, so that a slow response could look like silence.
func (m *ResponseMonitor) Instrument(config *rest.Config) {
	config.DisableCompression = true
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &monitoredTransport{next, m} })
}

// Stop ends the monitoring.
func (m *ResponseMonitor) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped, m.pending = true, nil
}

// Silent reports whether the API server is silent, see [ResponseMonitor].
func (m *ResponseMonitor) Silent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.lastByte) < silentAfter {
		return false
	}
	for _, since := range m.pending {
		if time.Since(since) >= silentAfter {
			return true
		}
	}
	return false
}

// requested records that a read is sent. If it was sent before and has failed, it has been pending since the first
// time.
func (m *ResponseMonitor) requested(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return
	}
	delete(m.pending, "")
	if _, again := m.pending[path]; !again {
		m.pending[path] = time.Now()
	}
}

// received records that a successful response brought a byte.
func (m *ResponseMonitor) received() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastByte = time.Now()
}

// completed records that a read is complete, and thus no longer pending.
func (m *ResponseMonitor) completed(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pending, path)
}

// monitoredTransport is an [http.RoundTripper] that reports each read of policies or lists to a [ResponseMonitor].
type monitoredTransport struct {
	http.RoundTripper

	monitor *ResponseMonitor
}

// WrappedRoundTripper returns the wrapped transport, for client-go.
func (t *monitoredTransport) WrappedRoundTripper() http.RoundTripper { return t.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t *monitoredTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	read, ok := parseRead(request)
	if !ok {
		return t.RoundTripper.RoundTrip(request)
	}
	if !read.isWatch || read.streamsList {
		t.monitor.requested(read.path)
	}
	response, err := t.RoundTripper.RoundTrip(request)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode/100 == 2:
		t.monitor.received()
		response.Body = &monitoredBody{ReadCloser: response.Body, monitor: t.monitor, read: read}
	case read.isGet && response.StatusCode == http.StatusNotFound:
		t.monitor.completed(read.path)
	}
	return response, nil
}

// readRequest is a request that reads policies or lists.
type readRequest struct {
	path        string
	isGet       bool // reads a single object
	isWatch     bool
	streamsList bool // a watch that starts with a list (sendInitialEvents)
}

// parseRead returns what a request reads, and false if the request does not read policies or ConfigMaps.
func parseRead(request *http.Request) (readRequest, bool) {
	_, name, _ := strings.Cut(request.URL.Path, "/namespaces/")
	parts := strings.Split(name, "/") // namespace, resource, and in a get the name of the object
	if request.Method != http.MethodGet || len(parts) < 2 || parts[1] != "registrationpolicies" && parts[1] != "configmaps" {
		return readRequest{}, false
	}
	query := request.URL.Query()
	isWatch := query.Get("watch") == "true"
	return readRequest{
		path: request.URL.Path, isGet: len(parts) > 2, isWatch: isWatch, streamsList: isWatch && query.Get("sendInitialEvents") == "true",
	}, true
}

// monitoredBody is the body of a successful response. It reports each arrival of bytes, and the end of the read, to a
// [ResponseMonitor].
type monitoredBody struct {
	io.ReadCloser

	monitor *ResponseMonitor
	read    readRequest
	tail    []byte // the last bytes of a streamed list, because listEnd can be split between two calls of Read
}

// listEnd is the annotation of the bookmark event that ends a streamed list (Kubernetes, "Streaming lists").
const listEnd = metav1.InitialEventsAnnotationKey

// Read implements [io.Reader].
func (b *monitoredBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if n > 0 {
		b.monitor.received()
	}
	switch {
	case b.read.streamsList:
		b.tail = append(b.tail, buf[:n]...)
		if bytes.Contains(b.tail, []byte(listEnd)) {
			b.monitor.completed(b.read.path)
			b.read.streamsList, b.tail = false, nil
		}
		b.tail = b.tail[max(0, len(b.tail)-len(listEnd)):]
	case !b.read.isWatch && errors.Is(err, io.EOF):
		b.monitor.completed(b.read.path)
	}
	return n, err
}
