package oauth

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// IsToken says whether what stands in an Authorization header has the form of a signed JWT: the scheme Bearer in any case, one
// space, and three parts with dots between them. Such a value is never compared with an opaque credential.
func IsToken(authorization string) bool {
	_, ok := bearer(authorization)
	return ok
}

func bearer(authorization string) (token string, ok bool) {
	scheme, token, found := strings.Cut(authorization, " ")
	return token, found && strings.EqualFold(scheme, "Bearer") && strings.Count(token, ".") == 2
}

// members are those of a JSON object, by their names.
type members map[string]jsontext.Value

// unsigned is a token by a strict reading, of which nothing is verified yet.
type unsigned struct {
	text    string
	key     keyName
	payload []byte // what claims were read from
	claims  members
}

// encoding is base64url as JWTs have it, in the one way in which bytes can be written.
var encoding = base64.RawURLEncoding.Strict()

// parse reads a token strictly: what two programs could read differently is refused.
func parse(token string) (unsigned, Cause) {
	if len(token) > maxToken {
		return unsigned{}, CauseTooLong
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if signature == "" || strings.Contains(signature, ".") {
		return unsigned{}, CauseMalformed
	}
	_, head, ok := decodeObject(header)
	if !ok {
		return unsigned{}, CauseMalformed
	}
	u := unsigned{text: token}
	if cause := u.readHeader(head); cause != "" {
		return unsigned{}, cause
	}
	if u.payload, u.claims, ok = decodeObject(payload); !ok {
		return unsigned{}, CauseMalformed
	}
	if _, ok := decode(signature); !ok {
		return unsigned{}, CauseMalformed
	}
	return u, ""
}

// verify holds the token against a key. The library reads it by itself: it must have read the same.
func (u *unsigned) verify(key any) Cause {
	signed, err := jose.ParseSignedCompact(u.text, algorithms)
	if err != nil {
		return CauseMalformed
	}
	if read := signed.Signatures[0].Protected; read.Algorithm != string(u.key.algorithm) || read.KeyID != u.key.id {
		return CauseMalformed
	}
	payload, err := signed.Verify(key)
	if err != nil || !bytes.Equal(payload, u.payload) {
		return CauseSignature
	}
	return ""
}

// decodeObject reads the header or the claims.
func decodeObject(part string) ([]byte, members, bool) {
	text, ok := decode(part)
	if !ok {
		return nil, nil, false
	}
	var read members
	err := json.Unmarshal(text, &read) // refuses names that come twice, at any depth, and what is not UTF-8
	return text, read, err == nil && read != nil
}

// decode reads base64url. The library passes over line breaks, which are not in its alphabet.
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

// accessTokenTypes are the values of typ that an access token may have (RFC 9068 §2.1), in lower case. An issuer signs other
// things with the same keys.
var accessTokenTypes = []string{"jwt", "at+jwt", "application/at+jwt"}

// ownKeys are members of a header that bring or name a key: whoever forges a token would choose his own.
var ownKeys = []string{"jwk", "jku", "x5c", "x5u"}

func (u *unsigned) readHeader(head members) Cause {
	for _, name := range []string{"crit", "b64"} {
		if _, found := head[name]; found {
			return CauseCritical
		}
	}
	for _, name := range ownKeys {
		if _, found := head[name]; found {
			return CauseMalformed
		}
	}
	algorithm, ok := head.text("alg")
	if !ok {
		return CauseMalformed
	}
	switch u.key.algorithm = jose.SignatureAlgorithm(algorithm); u.key.algorithm {
	case jose.RS256, jose.ES256:
	default:
		return CauseAlgorithm
	}
	if _, found := head["kid"]; found {
		if u.key.id, ok = head.text("kid"); !ok || u.key.id == "" {
			return CauseMalformed
		}
	}
	if _, found := head["typ"]; found {
		kind, ok := head.text("typ")
		if !ok {
			return CauseMalformed
		}
		if !containsFold(accessTokenTypes, kind) {
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

// seconds returns a member that is a time (RFC 7519 NumericDate). found says that there is one.
func (m members) seconds(name string) (at float64, found, ok bool) {
	value, found := m[name]
	if !found {
		return 0, false, true
	}
	if value.Kind() != '0' { // a number, whatever it begins with
		return 0, true, false
	}
	err := json.Unmarshal(value, &at)
	return at, true, err == nil
}
