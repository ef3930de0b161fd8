package credentials

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Match returns the name of the credential with this value. It always compares the digests of all credentials in
// constant time, so that its duration does not depend on which one matches, if any.
func (f *Files) Match(value string) (name string, ok bool) {
	digest := sha256.Sum256([]byte(value))
	var found *credential
	for _, credential := range f.list() {
		if subtle.ConstantTimeCompare(digest[:], credential.digest[:]) == 1 && found == nil {
			found = credential
		}
	}
	if found == nil {
		return "", false
	}
	found.used.Add(1)
	return found.name, true
}
