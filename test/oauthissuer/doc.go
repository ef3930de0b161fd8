// Package oauthissuer is an OAuth 2.0 authorization server for tests. Like a custom authorization server of Okta, it
// publishes its keys over TLS and signs tokens with them. A test can make it give wrong answers.
//
// It signs with the standard library only. If it used the operator's JOSE library, a fault of that library could cancel
// itself out.
package oauthissuer
