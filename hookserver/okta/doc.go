// Package okta is the wire format of Okta's registration inline hook: the call, strictly decoded, and the answer.
//
// It follows Okta's reference of the hook, https://developer.okta.com/docs/reference/registration-hook/, and where
// that and recorded calls disagree, the recordings. It decides nothing.
package okta
