package hookserver

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// refusal is an answer other than 200: Okta then denies with a text of its own. The body says no more than the status
// does.
type refusal struct {
	status int
	// cause says in one word why, for the log. "" means that there is no line: any scanner could make any number of
	// them.
	cause string
}

var (
	notFound         = refusal{http.StatusNotFound, ""}
	wrongMethod      = refusal{http.StatusMethodNotAllowed, ""}
	badCredential    = refusal{http.StatusUnauthorized, ""} // logged with its own cause
	wrongContentType = refusal{http.StatusUnsupportedMediaType, "ContentType"}
	bodyTooLarge     = refusal{http.StatusRequestEntityTooLarge, string(okta.TooLarge)}
	bodyUnreadable   = refusal{http.StatusBadRequest, "Unreadable"} // the caller went away, or was too slow
	tooManyCalls     = refusal{http.StatusServiceUnavailable, "TooManyCalls"}
	notLoaded        = refusal{http.StatusServiceUnavailable, "NotLoaded"}
	encodingFailed   = refusal{http.StatusInternalServerError, "Encoding"}
)

func malformedBody(err error) refusal {
	if malformed, ok := errors.AsType[okta.Malformed](err); ok {
		return refusal{http.StatusBadRequest, string(malformed)}
	}
	return refusal{http.StatusBadRequest, "Malformed"}
}

// refuse returns the answer of a refusal.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, refused refusal) reply {
	if refused.cause != "" {
		s.refused.call(refused)
	}
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		// net/http would read what is left of the body before it answers, at the pace of the caller.
		w.Header().Set("Connection", "close")
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
