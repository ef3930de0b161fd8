package list

import (
	"strings"

	"registrationpolicy.dev/operator/rules/internal/pattern"
)

// blanks are the characters that may stand around an entry.
const blanks = " \t\r"

// trimLine returns a line without a byte order mark, comment, and blanks around the entry.
func trimLine(text string) string {
	text = strings.Trim(strings.TrimPrefix(text, byteOrderMark), blanks)
	for from := 0; ; {
		at := strings.IndexByte(text[from:], '#')
		if at < 0 {
			return text
		}
		if at += from; at == 0 || strings.IndexByte(blanks, text[at-1]) >= 0 {
			return strings.TrimRight(text[:at], blanks)
		}
		from = at + 1 // this # begins no comment: a local part may contain one
	}
}

// SkippedReason returns why [Compile] skips a line, given without its newline, and what to write instead. It returns ""
// for a line that Compile does not skip. The reason quotes nothing of the line, so equal reasons can be counted
// together.
func SkippedReason(text string) string {
	if entry, empty := readLine(text); empty || len(entry.keys) > 0 {
		return ""
	}
	text = trimLine(text)
	local, _, isAddress := strings.Cut(text, "@")
	switch {
	case text == "*":
		return "a list must not mean everybody: write * into spec.allow.domains or spec.deny.domains of a policy"
	case strings.ContainsAny(text, blanks):
		return "it has a space inside; write one entry a line, and a comment after a space and #"
	case !isAddress:
		_, rejection := pattern.Deny(text)
		return rejection.Message
	}
	if _, rejection := pattern.DenyAddress(local + "@acme.com"); rejection.Message != "" {
		return "the part before the @ is not that of a plain mailbox; for every address of a domain, write the domain (acme.com); " +
			"for one address with all its sub-addresses, write jo+*@acme.com"
	}
	_, rejection := pattern.DenyAddress(text)
	return rejection.Message
}
