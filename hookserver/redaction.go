package hookserver

import (
	"bytes"
	"net/http"
	"strings"
	"unicode/utf8"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// requestIDHeader is Okta's header with the id of the call in the System Log.
const requestIDHeader = "X-Okta-Request-Id"

// setIdentifiers sets the ids that the caller sent, each passed through loggableIdentifier.
func (c *decidedCall) setIdentifiers(r *http.Request, request *okta.Request, authHeader string) {
	var buf [8]string
	secrets := buf[:0]
	for _, profile := range [2]*okta.Profile{&request.Profile, &request.Update} {
		for i := range profile.Attributes {
			if text := profile.Attributes[i].Text; text != "" {
				local, _, _ := strings.Cut(text, "@")
				secrets = append(secrets, local, text)
			}
		}
	}
	secrets = appendCredentials(secrets, r.Header[authHeader])
	if authHeader != oauthHeader {
		secrets = appendCredentials(secrets, r.Header[oauthHeader])
	}
	id := request.RequestID
	if values := r.Header[requestIDHeader]; len(values) > 0 {
		id = values[0]
	}
	c.oktaRequestID = loggableIdentifier(id, secrets)
	c.eventID = loggableIdentifier(request.EventID, secrets)
	c.source = loggableIdentifier(request.Source, secrets)
}

// appendCredentials appends the values of a header with a credential, with and without a scheme such as Basic.
func appendCredentials(secrets, values []string) []string {
	for _, value := range values {
		secrets = append(secrets, value)
		if _, afterScheme, found := strings.Cut(value, " "); found {
			secrets = append(secrets, afterScheme)
		}
	}
	return secrets
}

// Placeholders for ids that must not be logged. The ! cannot occur in an id.
const (
	idTooLong   = "!TooLong"
	idCharacter = "!BadCharacter"
	idPersonal  = "!Personal"
)

// minSecretLength is the minimum length in bytes of a secret that is searched for inside an id. Shorter ones occur in
// Okta's ids by chance.
const minSecretLength = 4

// identifierCharacters are the characters of Okta's ids, some of which have an @, and of URL paths, which Okta used to
// send as source.
var identifierCharacters = func() (set [256]bool) {
	for _, c := range []byte(asciiLetters + asciiDigits + "-._@:/") {
		set[c] = true
	}
	return set
}()

// loggableIdentifier returns an id if it may be logged, else a placeholder. An id must not contain a secret: a local
// part or address of the call, or its credential.
func loggableIdentifier(id string, secrets []string) string {
	if len(id) > maxIdentifier {
		return idTooLong
	}
	for i := range len(id) {
		if !identifierCharacters[id[i]] {
			return idCharacter
		}
	}
	if id == "" {
		return ""
	}
	if _, after, found := strings.Cut(id, "@"); found && strings.Contains(after, ".") {
		return idPersonal // the id has an address, which is personal even if no other field of the call has it
	}
	var idBuf, secretBuf [maxIdentifier]byte
	folded, hasAt := appendLower(idBuf[:0], id), strings.Contains(id, "@")
	for _, secret := range secrets {
		if len(secret) > len(id) {
			continue
		}
		secret := appendLower(secretBuf[:0], secret)
		if bytes.Equal(folded, secret) || len(secret) >= minSecretLength && bytes.Contains(folded, secret) ||
			hasAt && len(secret) > 0 && bytes.Contains(folded, append(secret, '@')) {
			return idPersonal
		}
	}
	return id
}

// appendLower appends a text in lower case. Most texts are ASCII, for which it does not allocate.
func appendLower(to []byte, text string) []byte {
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf {
			return append(to[:len(to)-i], strings.ToLower(text)...)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}
