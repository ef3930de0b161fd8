// Package pastcalls reads calls that were made in the past, from a log or an export. It recognises these formats by the
// content of the input:
//
//   - the log of the operator, in JSON or as text, also with the prefixes that kubectl logs writes;
//   - bodies of calls as Okta posts them, as JSON lines or one after the other;
//   - an export of Okta's System Log, as a JSON array, JSON lines or a table (CSV);
//   - a table with a header (CSV), and a list with one address a line.
//
// [Read] holds one line at a time, so its memory does not depend on the length of the input. Its errors quote nothing
// of the input, because the input may be personal.
package pastcalls
