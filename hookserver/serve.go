package hookserver

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"time"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

// serve answers one request. The answer is made as a whole before any of it is written, so that a panic leaves
// nothing half said.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	reply := s.reply(w, r, begin)
	s.metrics.request(reply.status)

	header := w.Header()
	if reply.body != nil {
		header.Set("Content-Type", "application/json")
	}
	header.Set("Content-Length", strconv.Itoa(len(reply.body)))
	w.WriteHeader(reply.status)
	_, _ = w.Write(reply.body) // an error means that Okta is gone: there is nobody to tell
}

// reply is an answer, ready to be written.
type reply struct {
	status int
	body   []byte
}

func (s *Server) reply(w http.ResponseWriter, r *http.Request, begin time.Time) (answer reply) {
	defer func() {
		if thrown := recover(); thrown != nil {
			answer = s.panicked(w, r, thrown)
		}
	}()

	if r.URL.EscapedPath() != s.options.Path {
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

	if !isJSON(r.Header) {
		return s.refuse(w, r, wrongContentType)
	}
	body, refusal := readBody(w, r)
	if refusal != nil {
		return s.refuse(w, r, *refusal)
	}

	// From here on nothing waits for the caller: a slow one has not taken this place.
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
	call := callOf(&request)
	decision := snapshot.Decide(call)
	decision.Observed = s.options.Observe

	c := decidedCall{
		decisionID: rand.Text(), // 130 random bits in 26 characters
		credential: credential,
		digest:     snapshot.Digest(),
		shape:      call.Shape,
		decision:   &decision,
	}
	c.identify(r, &request, s.options.AuthHeader)
	encoded, err := s.respond(&c).Encode()
	if err != nil {
		return s.refuse(w, r, encodingFailed)
	}
	duration := time.Since(begin)
	s.metrics.decided(&c, call.Contradictory, duration)
	s.logDecided(&c, duration)
	return reply{http.StatusOK, encoded}
}

// respond puts a decision into Okta's words.
func (s *Server) respond(c *decidedCall) okta.Response {
	d := c.decision
	debug := c.debugContext()
	if d.Answer() == rules.Deny {
		attribute := d.Attribute
		if attribute == "" {
			attribute = s.options.AddressAttributes[0] // a cause without a location under the profile is not shown
		}
		return okta.Deny(s.options.Texts.For(d, c.decisionID), string(d.Reason.Code()), attribute).WithDebugContext(debug)
	}
	if d.Observed || len(d.Profile) == 0 {
		return okta.Allow(nil).WithDebugContext(debug)
	}
	values := make([]okta.Value, len(d.Profile))
	for i, attribute := range d.Profile {
		values[i] = okta.Value{Name: attribute.Name, JSON: attribute.Value}
	}
	return okta.Allow(values).WithDebugContext(debug)
}
