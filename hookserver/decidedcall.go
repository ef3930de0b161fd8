package hookserver

import (
	"net/http"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

// requestIDHeader is Okta's header with the id by which the call is found in the System Log.
const requestIDHeader = "X-Okta-Request-Id"

// decidedCall is a call after its decision: what the answer, the log line and the metrics are made from. It holds
// nothing personal.
type decidedCall struct {
	decisionID string
	credential string // its name
	digest     string
	shape      rules.Shape
	decision   *rules.Decision

	// What the caller says of the call, made fit for a log by cleanIdentifier.
	oktaRequestID string
	eventID       string
	source        string
}

// identify keeps the ids of a call.
func (c *decidedCall) identify(r *http.Request, request *okta.Request, authHeader string) {
	var room [8]string
	secrets := room[:0]
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
		if _, word, found := strings.Cut(value, " "); found {
			secrets = append(secrets, word) // the value after a scheme
		}
	}
	id := request.RequestID
	if values := r.Header.Values(requestIDHeader); len(values) > 0 {
		id = values[0]
	}
	c.oktaRequestID = cleanIdentifier(id, secrets)
	c.eventID = cleanIdentifier(request.EventID, secrets)
	c.source = cleanIdentifier(request.Source, secrets)
}

// What stands in a log for an id that is not fit for it. No id has a ! in it.
const (
	idTooLong   = "!TooLong"
	idCharacter = "!BadCharacter"
	idPersonal  = "!Personal"
)

const (
	// identifierCharacters are those of Okta's ids, @ included, and of the paths that old calls have for a source.
	identifierCharacters = asciiLetters + asciiDigits + "-._@:/"
	// minTelling is the length in bytes from which a local part in an id is taken for more than chance: every id of
	// Okta's has any given letter.
	minTelling = 4
)

// cleanIdentifier returns an id of a call as it may be logged, or one of the words above. An id must hold none of the
// secrets: the local parts and addresses of the call and its credential.
func cleanIdentifier(id string, secrets []string) string {
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
		return idPersonal // an address, if of somebody whom the call does not name
	}
	folded := strings.ToLower(id)
	for _, secret := range secrets {
		if len(secret) > len(id) {
			continue
		}
		secret = strings.ToLower(secret)
		if folded == secret || len(secret) >= minTelling && strings.Contains(folded, secret) ||
			secret != "" && strings.Contains(folded, secret+"@") {
			return idPersonal
		}
	}
	return id
}
