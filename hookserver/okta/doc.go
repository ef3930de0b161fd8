// Package okta is the wire format of Okta's registration inline hook: it decodes calls strictly, and encodes answers.
//
// It follows Okta's reference, https://developer.okta.com/docs/reference/registration-hook/. Where recorded calls
// differ from it, it follows the recordings.
package okta
