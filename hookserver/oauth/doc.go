// Package oauth verifies the access tokens with which Okta calls the hook where its inline hook authenticates by OAuth 2.0:
// signed JWTs (RFC 9068) of one issuer, by the keys that the issuer publishes.
//
// A [Verifier] keeps the keys in memory. [Verifier.Run] fetches them, over HTTPS and from the issuer's host alone;
// [Verifier.Verify] only reads what is there: no call ever waits for the issuer.
//
// What a token says is believed only once its signature is verified. It is looked at before for one purpose: to refuse it
// early, since a signature costs the most.
package oauth
