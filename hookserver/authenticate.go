package hookserver

import "net/http"

// Results of an authentication, as metrics and log lines have them.
const (
	authAccepted = "accepted"
	authMissing  = "missing"  // no header line of that name
	authRepeated = "repeated" // several: a proxy and the server could each take another one
	authUnknown  = "unknown"  // not an accepted value
	authDisabled = "disabled" // InsecureNoAuthentication
)

// authenticate reports whether the request has an accepted credential, and its name. It looks at the header only, and
// so comes before any of the body is read. There is no WWW-Authenticate in the answer: the value is opaque, of no
// scheme.
func (s *Server) authenticate(r *http.Request) (credential string, ok bool) {
	if s.options.InsecureNoAuthentication {
		s.metrics.authentication("", authDisabled)
		return "", true
	}
	result := authUnknown
	switch values := r.Header[s.options.AuthHeader]; len(values) {
	case 0:
		result = authMissing
	case 1:
		if credential, ok = s.options.Credentials.match(values[0]); ok {
			result = authAccepted
		}
	default:
		result = authRepeated
	}
	s.metrics.authentication(credential, result)
	if !ok {
		s.strangers.line("Authentication failed", "code", badCredential.status, "result", result)
	}
	return credential, ok
}
