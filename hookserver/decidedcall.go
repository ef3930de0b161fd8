package hookserver

import (
	"net/http"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

// requestIDHeader is Okta's header with the id of the call in the System Log.
const requestIDHeader = "X-Okta-Request-Id"

// decidedCall is a call with its decision. The answer, the log line and the metrics are made from it. It has no
// personal data.
type decidedCall struct {
	decisionID string
	credential string // the name, not the value
	digest     string
	shape      rules.Shape
	decision   rules.Decision

	// Ids that the caller sent, or the placeholders that loggableIdentifier returned for them.
	oktaRequestID string
	eventID       string
	source        string
}

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
	values := r.Header[authHeader]
	if authHeader != oauthHeader {
		values = slices.Concat(values, r.Header[oauthHeader])
	}
	for _, value := range values {
		secrets = append(secrets, value)
		if _, afterScheme, found := strings.Cut(value, " "); found {
			secrets = append(secrets, afterScheme)
		}
	}
	id := request.RequestID
	if values := r.Header.Values(requestIDHeader); len(values) > 0 {
		id = values[0]
	}
	c.oktaRequestID = loggableIdentifier(id, secrets)
	c.eventID = loggableIdentifier(request.EventID, secrets)
	c.source = loggableIdentifier(request.Source, secrets)
}

// Placeholders for ids that must not be logged. The ! cannot occur in an id.
const (
	idTooLong   = "!TooLong"
	idCharacter = "!BadCharacter"
	idPersonal  = "!Personal"
)

const (
	// identifierCharacters are the characters of Okta's ids, some of which have an @, and of URL paths, which Okta used
	// to send as source.
	identifierCharacters = asciiLetters + asciiDigits + "-._@:/"
	// minSecretLength is the minimum length in bytes of a secret that is searched for inside an id. Shorter ones occur
	// in Okta's ids by chance.
	minSecretLength = 4
)

// loggableIdentifier returns an id if it may be logged, else a placeholder. An id must not contain a secret: a local
// part or address of the call, or its credential.
func loggableIdentifier(id string, secrets []string) string {
	if len(id) > maxIdentifier {
		return idTooLong
	}
	if strings.Trim(id, identifierCharacters) != "" {
		return idCharacter
	}
	if id == "" {
		return ""
	}
	if _, after, found := strings.Cut(id, "@"); found && strings.Contains(after, ".") {
		return idPersonal // an address, even if the call has it nowhere else
	}
	folded := strings.ToLower(id)
	for _, secret := range secrets {
		if len(secret) > len(id) {
			continue
		}
		secret = strings.ToLower(secret)
		if folded == secret || len(secret) >= minSecretLength && strings.Contains(folded, secret) ||
			secret != "" && strings.Contains(folded, secret+"@") {
			return idPersonal
		}
	}
	return id
}
