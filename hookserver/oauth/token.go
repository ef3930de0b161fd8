package oauth

import (
	"encoding/base64"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// IsToken reports whether an Authorization header has the form of a signed JWT: the scheme Bearer in any case, one
// space, and three parts separated by dots. Such a value is never compared with an opaque credential.
func IsToken(authorization string) bool {
	_, ok := bearer(authorization)
	return ok
}

func bearer(authorization string) (token string, ok bool) {
	scheme, token, found := strings.Cut(authorization, " ")
	return token, found && strings.EqualFold(scheme, "Bearer") && strings.Count(token, ".") == 2
}

// members are the members of a JSON object by name.
type members map[string]jsontext.Value

// unverifiedToken is a strictly parsed token whose claims and signature are not verified yet.
type unverifiedToken struct {
	text    string
	key     keyName
	payload []byte // the JSON text of claims
	claims  members
}

// encoding is base64url without padding (RFC 7515 §2). Strict refuses other encodings of the same bytes.
var encoding = base64.RawURLEncoding.Strict()

// parse parses a token strictly. It refuses a token that two programs could read differently.
func parse(token string) (unverifiedToken, Cause) {
	if len(token) > maxToken {
		return unverifiedToken{}, CauseTooLong
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if signature == "" || strings.Contains(signature, ".") {
		return unverifiedToken{}, CauseMalformed
	}
	_, headerMembers, ok := decodeObject(header)
	if !ok {
		return unverifiedToken{}, CauseMalformed
	}
	u := unverifiedToken{text: token}
	if cause := u.readHeader(headerMembers); cause != "" {
		return unverifiedToken{}, cause
	}
	if u.payload, u.claims, ok = decodeObject(payload); !ok {
		return unverifiedToken{}, CauseMalformed
	}
	if _, ok := decode(signature); !ok {
		return unverifiedToken{}, CauseMalformed
	}
	return u, ""
}

// decodeObject decodes a part that is a JSON object.
func decodeObject(part string) ([]byte, members, bool) {
	text, ok := decode(part)
	if !ok {
		return nil, nil, false
	}
	var read members
	err := json.Unmarshal(text, &read) // refuses duplicate names at any depth, and invalid UTF-8
	return text, read, err == nil && read != nil
}

// decode decodes base64url. It checks the alphabet itself because encoding/base64 ignores line breaks.
func decode(part string) ([]byte, bool) {
	if !inAlphabet(part) {
		return nil, false
	}
	bytes, err := encoding.DecodeString(part)
	return bytes, err == nil
}

func inAlphabet(part string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return part != "" && strings.Trim(part, alphabet) == ""
}

// accessTokenTypes are the values of typ of an access token (RFC 9068 §2.1), in lower case. An issuer may sign other
// kinds of JWTs with the same keys.
var accessTokenTypes = []string{"jwt", "at+jwt", "application/at+jwt"}

// keyParameters are header parameters with a key or its URL (RFC 7515 §4.1). A forged token could name the forger's
// key.
var keyParameters = []string{"jwk", "jku", "x5c", "x5u"}

func (u *unverifiedToken) readHeader(header members) Cause {
	for _, name := range []string{"crit", "b64"} {
		if _, found := header[name]; found {
			return CauseCritical
		}
	}
	for _, name := range keyParameters {
		if _, found := header[name]; found {
			return CauseMalformed
		}
	}
	algorithm, ok := header.text("alg")
	if !ok {
		return CauseMalformed
	}
	switch u.key.algorithm = jose.SignatureAlgorithm(algorithm); u.key.algorithm {
	case jose.RS256, jose.ES256:
	default:
		return CauseAlgorithm
	}
	if _, found := header["kid"]; found {
		if u.key.id, ok = header.text("kid"); !ok || u.key.id == "" {
			return CauseMalformed
		}
	}
	if _, found := header["typ"]; found {
		typ, ok := header.text("typ")
		if !ok {
			return CauseMalformed
		}
		if !containsFold(accessTokenTypes, typ) {
			return CauseType
		}
	}
	return ""
}

func containsFold(words []string, word string) bool {
	for _, w := range words {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

// text returns a member that is a string.
func (m members) text(name string) (string, bool) {
	value := m[name]
	if value.Kind() != '"' {
		return "", false
	}
	var text string
	err := json.Unmarshal(value, &text)
	return text, err == nil
}

// texts returns a member that is a string, or an array of strings.
func (m members) texts(name string) ([]string, bool) {
	if text, ok := m.text(name); ok {
		return []string{text}, true
	}
	value := m[name]
	if value.Kind() != '[' {
		return nil, false
	}
	var each []jsontext.Value
	if err := json.Unmarshal(value, &each); err != nil {
		return nil, false
	}
	texts := make([]string, len(each))
	for i, element := range each {
		if element.Kind() != '"' || json.Unmarshal(element, &texts[i]) != nil {
			return nil, false
		}
	}
	return texts, true
}

// numericDate returns a member that is a NumericDate (RFC 7519 §2), in seconds. ok is true for an absent member.
func (m members) numericDate(name string) (at float64, found, ok bool) {
	value, found := m[name]
	if !found {
		return 0, false, true
	}
	if value.Kind() != '0' { // the jsontext.Kind of every number
		return 0, true, false
	}
	err := json.Unmarshal(value, &at)
	return at, true, err == nil
}
