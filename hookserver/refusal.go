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

// refusal is an answer other than 200: Okta then denies with a text of its own. The body says no more than the status
// does.
type refusal struct {
	status int
	// cause says in one word why, for the log. "" means that there is no line: any scanner could make any number of
	// them.
	cause string
	// stranger says that no credential was shown. The connection is not kept: there are maxConnections of them, and whoever
	// could keep them all without a credential would lock Okta out.
	stranger bool
}

var (
	notFound         = refusal{status: http.StatusNotFound, stranger: true}
	wrongMethod      = refusal{status: http.StatusMethodNotAllowed, stranger: true}
	badCredential    = refusal{status: http.StatusUnauthorized, stranger: true} // logged with its own cause
	wrongContentType = refusal{status: http.StatusUnsupportedMediaType, cause: "ContentType"}
	bodyTooLarge     = refusal{status: http.StatusRequestEntityTooLarge, cause: string(okta.TooLarge)}
	bodyUnreadable   = refusal{status: http.StatusBadRequest, cause: "Unreadable"} // the caller went away, or was too slow
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

// refuse returns the answer of a refusal.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, refused refusal) reply {
	if refused.cause != "" {
		s.refused.call(refused)
	}
	unread := r.ContentLength != 0 && r.ProtoMajor == 1
	if unread || refused.stranger {
		w.Header().Set("Connection", "close") // over HTTP/2, net/http makes a GOAWAY of it
	}
	if unread {
		// net/http reads what is left of the body, at the pace of the caller. An error means that it has no deadlines to set.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedBodyTimeout))
	}
	if refused.status == http.StatusNotFound {
		return reply{status: refused.status}
	}
	return reply{refused.status, refusalBodies[refused.status]}
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

// panicked counts a panic and answers 500. What was thrown may hold anything, so that only its type is logged, and
// the text of an error of the Go runtime, which speaks of types and numbers. A stack has code and pointers.
func (s *Server) panicked(w http.ResponseWriter, r *http.Request, thrown any) reply {
	s.metrics.panics.Inc()
	kind := fmt.Sprintf("%T", thrown)
	if err, ok := thrown.(runtime.Error); ok {
		kind = err.Error()
	}
	s.options.Logger.Error(nil, "Panic", "thrown", kind, "stack", string(debug.Stack()))
	return s.refuse(w, r, refusal{status: http.StatusInternalServerError})
}
