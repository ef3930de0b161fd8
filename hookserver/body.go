package hookserver

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// isJSON reports whether the headers declare uncompressed JSON, or no content type.
func isJSON(header http.Header) bool {
	for _, encoding := range header["Content-Encoding"] {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return false
		}
	}
	switch types := header["Content-Type"]; len(types) {
	case 0:
		return true
	case 1:
		if types[0] == "" || types[0] == "application/json" {
			return true
		}
		mediaType, _, err := mime.ParseMediaType(types[0])
		return err == nil && mediaType == "application/json"
	default:
		return false
	}
}

// readBody reads the whole body into memory. It refuses a body that is too large, or that does not arrive before the
// deadline.
func readBody(w http.ResponseWriter, r *http.Request, memory *scratch, deadline time.Time) ([]byte, *refusal) {
	if r.ContentLength > okta.MaxBody {
		return nil, &bodyTooLarge
	}
	// ErrNotSupported: the handler runs in a server other than [Server.Serve]'s, which sets its own timeouts.
	err := http.NewResponseController(w).SetReadDeadline(deadline)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, &bodyUnreadable
	}
	var body []byte
	if r.ContentLength >= 0 {
		memory.body = slices.Grow(memory.body[:0], int(r.ContentLength))[:r.ContentLength]
		body = memory.body
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, okta.MaxBody+1))
	}
	switch {
	case err != nil:
		return nil, &bodyUnreadable
	case len(body) > okta.MaxBody:
		return nil, &bodyTooLarge
	}
	return body, nil
}
