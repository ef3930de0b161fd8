package hookserver

import (
	"net/http"

	"registrationpolicy.dev/operator/hookserver/oauth"
)

// Results of an authentication, as metrics and log lines have them. Those of a token are the oauth.Cause values.
const (
	authAccepted = "accepted"
	authMissing  = "missing"  // no header line of that name
	authRepeated = "repeated" // several: a proxy and the server could each take another one
	authUnknown  = "unknown"  // not an accepted value
	authBoth     = "both"     // a token, and the header of the other credentials too
	authDisabled = "disabled" // InsecureNoAuthentication
)

// oauthHeader is the header of an access token (RFC 6750). The other credentials may have another one.
const oauthHeader = "Authorization"

// oauthCredential begins the name of the credential of a token; the client's id follows. No file of Credentials has such a
// name.
const oauthCredential = "oauth:"

// authenticate reports whether the request has an accepted credential, and its name. It looks at the headers only, and
// so comes before any of the body is read. There is no WWW-Authenticate in the answer: it would tell strangers what to
// guess.
func (s *Server) authenticate(r *http.Request) (credential string, ok bool) {
	if s.options.InsecureNoAuthentication {
		s.metrics.authentication("", authDisabled)
		return "", true
	}
	credential, result := s.credentialOf(r.Header)
	ok = result == authAccepted
	s.metrics.authentication(credential, result)
	if !ok {
		s.strangers.line("Authentication failed", "code", badCredential.status, "result", result)
	}
	return credential, ok
}

// credentialOf returns the name of the credential of a call and authAccepted, or why there is none. What has the form of a token
// is verified as one and never compared with the other credentials; whatever else there is, is compared and never verified.
// A call that shows both kinds is refused: two programs could take another one for its caller.
func (s *Server) credentialOf(header http.Header) (credential, result string) {
	values := header[s.options.AuthHeader]
	if s.options.OAuth != nil {
		switch tokens := header[oauthHeader]; {
		case len(tokens) > 1:
			return "", authRepeated
		case len(tokens) == 0 || !oauth.IsToken(tokens[0]):
		case s.options.AuthHeader != oauthHeader && len(values) > 0:
			return "", authBoth
		default:
			client, cause, ok := s.options.OAuth.VerifyHeader(tokens[0])
			if !ok {
				return "", string(cause)
			}
			return oauthCredential + client, authAccepted
		}
	}
	switch len(values) {
	case 0:
		return "", authMissing
	case 1:
		if name, ok := s.options.Credentials.match(values[0]); ok {
			return name, authAccepted
		}
		return "", authUnknown
	default:
		return "", authRepeated
	}
}
