// Package hookserver answers Okta's registration inline hook over HTTP: authentication, limits, the answer, the log
// line and the metrics. Package rules makes the decisions; package okta has the wire format.
//
// A call passes these steps in order: path and method → authentication → content type → body, with limit and deadline →
// [okta.Decode] → [rules.Store.Load] → [rules.Snapshot.Decide] → [okta.Response] → metrics and log line.
//
// The package never logs, counts or returns the local part of an address or a credential.
package hookserver
