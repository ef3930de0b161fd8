// Package oauth verifies the access tokens that Okta sends if its inline hook uses OAuth 2.0: JWTs (RFC 9068) of one
// issuer, signed with the keys that the issuer publishes.
//
// A [Verifier] keeps the keys in memory. [Verifier.Run] fetches them over HTTPS, only from the issuer's host.
// [Verifier.Verify] uses the keys in memory, so that a call never waits for the issuer.
//
// The claims are checked before the signature, which costs the most. A token is accepted only if both are valid.
package oauth
