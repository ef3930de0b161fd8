package hookserver

import (
	"net/http"

	"registrationpolicy.dev/operator/hookserver/oauth"
)

// Results of an authentication in metrics and log lines. The result of a refused token is its [oauth.Cause].
const (
	authAccepted = "accepted"
	authMissing  = "missing"  // the header is absent
	authRepeated = "repeated" // several such headers: a proxy and this server could each read a different one
	authUnknown  = "unknown"  // the value matches no stored credential
	authBoth     = "both"     // a token in Authorization, and a value in AuthHeader
	authDisabled = "disabled" // Options.InsecureNoAuthentication is set: no credential is needed
)

// oauthHeader is the header of an access token (RFC 6750). Other credentials are in Options.AuthHeader.
const oauthHeader = "Authorization"

// oauthCredential, followed by the client's id, is the credential name of a token. It cannot equal the name of a
// credential file, because a key of a Secret cannot contain a colon.
const oauthCredential = "oauth:"

// authenticate returns the name of the request's credential, and whether it is accepted. It needs the headers only, so
// that the server reads no body of an unauthenticated caller. The 401 has no WWW-Authenticate header, which would tell
// an attacker what to guess.
func (s *Server) authenticate(r *http.Request) (credential string, ok bool) {
	if s.options.InsecureNoAuthentication {
		s.metrics.authentication("", authDisabled)
		return "", true
	}
	credential, result := s.credentialOf(r.Header)
	ok = result == authAccepted
	s.metrics.authentication(credential, result)
	if !ok {
		s.authenticationLog.line("Authentication failed", "code", badCredential.status, "result", result)
	}
	return credential, ok
}

// credentialOf returns the name of a call's credential and authAccepted, or the reason why it has none. JWT-shaped
// values are only verified as tokens; all others are only compared with the stored credentials. A call with both is
// refused: if they belong to different callers, a proxy and this server could disagree on who called.
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
		if name, ok := s.options.Credentials.Match(values[0]); ok {
			return name, authAccepted
		}
		return "", authUnknown
	default:
		return "", authRepeated
	}
}
