package oauth

import (
	"bytes"

	"github.com/go-jose/go-jose/v4"
)

// verify verifies the signature with go-jose, which parses the token again. It also fails if go-jose reads another
// algorithm, key id or payload from the token than parse did.
func (u *unverifiedToken) verify(key any) Cause {
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
