// Package oauthissuer is an OAuth 2.0 authorization server for tests: it publishes real keys over real TLS, as a custom
// authorization server of Okta's does, signs tokens with them, and misbehaves where a test asks it to.
//
// It signs with the standard library alone, so that no fault of a JOSE library is on both sides.
package oauthissuer
