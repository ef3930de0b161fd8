// Package hookserver answers Okta's registration inline hook over HTTP: authentication, limits, the answer, the log
// line and the metrics. What is decided, package rules decides; how it is written, package okta knows.
//
// One call runs straight through: recover → method and path → authenticate → body limit → deadline → [okta.Decode] →
// [rules.Store.Load] → [rules.Snapshot.Decide] → [okta.Response] → count and log.
//
// Nothing here logs, counts or returns a local part or a credential.
package hookserver
