package hookserver

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// refusal is an answer other than 200. Okta then denies with its own text. The body only repeats the status.
type refusal struct {
	status int
	// cause is the value of the log key cause. With "", refuse logs nothing: port scanners could cause any number of
	// such refusals.
	cause string
	// unauthenticated means that the request had no accepted credential. The connection is then closed: otherwise such
	// callers could hold all maxConnections and lock Okta out.
	unauthenticated bool
}

var (
	notFound         = refusal{status: http.StatusNotFound, unauthenticated: true}
	wrongMethod      = refusal{status: http.StatusMethodNotAllowed, unauthenticated: true}
	badCredential    = refusal{status: http.StatusUnauthorized, unauthenticated: true} // logged by authenticate
	wrongContentType = refusal{status: http.StatusUnsupportedMediaType, cause: "ContentType"}
	bodyTooLarge     = refusal{status: http.StatusRequestEntityTooLarge, cause: string(okta.TooLarge)}
	bodyUnreadable   = refusal{status: http.StatusBadRequest, cause: "Unreadable"} // disconnected or too slow
	tooManyCalls     = refusal{status: http.StatusServiceUnavailable, cause: "TooManyCalls"}
	notLoaded        = refusal{status: http.StatusServiceUnavailable, cause: "NotLoaded"}
	fenced           = refusal{status: http.StatusServiceUnavailable, cause: "Fenced"}
	encodingFailed   = refusal{status: http.StatusInternalServerError, cause: "Encoding"}
)

func malformedBody(err error) refusal {
	if malformed, ok := errors.AsType[okta.Malformed](err); ok {
		return refusal{status: http.StatusBadRequest, cause: string(malformed)}
	}
	return refusal{status: http.StatusBadRequest, cause: "Malformed"}
}

// refuse returns the answer of a refusal, and logs it if it has a cause.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, refused refusal) reply {
	if refused.cause != "" {
		s.refusalLog.line("Call refused", "code", refused.status, "cause", refused.cause)
	}
	closeAfter(w, r, refused.unauthenticated)
	if refused.status == http.StatusNotFound {
		return reply{status: refused.status}
	}
	return reply{status: refused.status, body: refusalBodies[refused.status]}
}

// closeAfter closes the connection after the answer if the request is unauthenticated or has a body, which is not read.
func closeAfter(w http.ResponseWriter, r *http.Request, unauthenticated bool) {
	unread := r.ContentLength != 0 && r.ProtoMajor == 1
	if unread || unauthenticated {
		w.Header().Set("Connection", "close") // over HTTP/2, net/http sends GOAWAY instead
	}
	if unread {
		// net/http reads the rest of the body after the handler returns. Without a deadline, a slow caller could keep
		// the connection for readTimeout. An error means that the server does not support deadlines.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedBodyTimeout))
	}
}

var refusalBodies = map[int][]byte{
	http.StatusBadRequest:            []byte(`{"error":"bad request"}` + "\n"),
	http.StatusUnauthorized:          []byte(`{"error":"unauthorized"}` + "\n"),
	http.StatusMethodNotAllowed:      []byte(`{"error":"method not allowed"}` + "\n"),
	http.StatusRequestEntityTooLarge: []byte(`{"error":"body too large"}` + "\n"),
	http.StatusUnsupportedMediaType:  []byte(`{"error":"unsupported media type"}` + "\n"),
	http.StatusInternalServerError:   []byte(`{"error":"internal error"}` + "\n"),
	http.StatusServiceUnavailable:    []byte(`{"error":"unavailable"}` + "\n"),
}

// panicked counts and logs a panic and answers 500. The recovered value may hold personal data, so only its type is
// logged, or the text of a runtime.Error, which has only types and numbers. The stack has only code and pointers.
func (s *Server) panicked(w http.ResponseWriter, r *http.Request, recovered any) reply {
	s.metrics.panics.Inc()
	text := fmt.Sprintf("%T", recovered)
	if err, ok := recovered.(runtime.Error); ok {
		text = err.Error()
	}
	s.options.Logger.Error(nil, "Panic", "recovered", text, "stack", string(debug.Stack()))
	return s.refuse(w, r, refusal{status: http.StatusInternalServerError})
}
