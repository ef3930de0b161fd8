package hookserver

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"time"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// jsonContentType is the Content-Type of every answer with a body. It must not be changed: answers share it.
var jsonContentType = []string{"application/json"}

// digestHeader has the digest of the rules behind a decision: it tells the caller which rules are in force. The name
// must be in canonical form, because it is set in the header's map directly.
const digestHeader = "X-Registration-Policy-Digest"

// serve answers one request. It builds the whole answer before it writes any of it, so that a panic cannot leave a
// partial answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	memory := scratches.Get().(*scratch)
	defer memory.release()
	reply := s.reply(w, r, memory, begin)
	if !reply.uncounted {
		s.metrics.request(reply.status)
	}

	header := w.Header()
	if reply.body != nil {
		header["Content-Type"] = jsonContentType
	}
	header["Content-Length"] = []string{strconv.Itoa(len(reply.body))}
	if s.draining.Load() {
		header.Set("Connection", "close") // over HTTP/2, net/http sends GOAWAY instead
	}
	w.WriteHeader(reply.status)
	_, _ = w.Write(reply.body) // an error means that the caller has closed the connection
}

// reply is a complete answer.
type reply struct {
	status    int
	body      []byte
	uncounted bool // true for an answered health check
}

// reply returns the answer to a request. Its body may be a buffer of memory, and is then valid until memory.release.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, memory *scratch, begin time.Time) (answer reply) {
	defer func() {
		if recovered := recover(); recovered != nil {
			answer = s.panicked(w, r, recovered)
		}
	}()

	// RawPath is set only for a path with unusual escapes, which the hook's does not have.
	if r.URL.Path != s.options.Path || r.URL.RawPath != "" {
		if s.isHealthCheck(r) {
			return s.healthCheck(w, r)
		}
		return s.refuse(w, r, notFound)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return s.refuse(w, r, wrongMethod)
	}
	credential, ok := s.authenticate(r)
	if !ok {
		return s.refuse(w, r, badCredential)
	}
	markAuthenticated(r.Context())

	if !isJSON(r.Header) {
		return s.refuse(w, r, wrongContentType)
	}
	body, refusal := readBody(w, r, memory, begin.Add(bodyTimeout))
	if refusal != nil {
		return s.refuse(w, r, *refusal)
	}

	// Only now, with the body complete, does the call count as in flight. Otherwise slow callers could use up
	// MaxInFlight.
	select {
	case s.inFlight <- struct{}{}:
		defer func() { <-s.inFlight }()
	default:
		s.metrics.shed.Inc()
		w.Header().Set("Retry-After", retryAfter)
		return s.refuse(w, r, tooManyCalls)
	}

	request, err := okta.Decode(body, s.options.AddressAttributes)
	if err != nil {
		return s.refuse(w, r, malformedBody(err))
	}
	snapshot := s.snapshot()
	if snapshot == nil {
		w.Header().Set("Retry-After", retryAfter)
		return s.refuse(w, r, notLoaded)
	}
	c := &memory.call
	c.decisionID = rand.Text() // 130 random bits in 26 characters
	c.credential = credential
	call := c.decide(&request, snapshot, s.options.Observe, memory)
	c.setIdentifiers(r, &request, s.options.AuthHeader)
	encoded, err := c.encode(&s.options, memory)
	if err != nil {
		return s.refuse(w, r, encodingFailed)
	}
	// Fenced is called after the decision: if the process was frozen at any earlier step, such as by a paused virtual
	// machine, the decision may come from outdated rules.
	if s.options.Fenced != nil && s.options.Fenced() {
		w.Header().Set("Retry-After", retryAfter)
		return s.refuse(w, r, fenced)
	}
	w.Header()[digestHeader] = []string{c.digest}
	end := time.Now()
	duration := end.Sub(begin)
	s.metrics.decided(c, call.Contradictory, duration, end)
	s.logDecided(memory, duration, end)
	return reply{status: http.StatusOK, body: encoded}
}
