package differential

import (
	"math/rand/v2"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/vectors"
)

// The kinds of differences from net/mail, in the words of docs/policies/addresses.md.
const (
	dressed     = "dressed"
	quoted      = "quoted"
	literal     = "literal"
	otherLocal  = "other local parts"
	otherDomain = "other domains"
	tooLong     = "too long"
	capitals    = "capitals"
	encoded     = "encoded"
)

// addresses returns those of test/vectors, and random variants of some plain and some unusual addresses.
func addresses() []string {
	all := []string{}
	for _, row := range vectors.Addresses() {
		all = append(all, row.Email)
	}
	seeds := append(slices.Clip(all),
		"jo@acme.com", `"jo d"@acme.com`, "Jo <jo@acme.com>", "jo(x)@acme.com", "jo@[192.0.2.1]", "=?utf-8?q?jo?= <jo@acme.com>",
		"jo@m\u00fcller.de", "j\u00f6@acme.com", "jo%acme.com@evil.example", "jo@acme.com, al@evil.example",
	)
	pieces := []string{
		"@", ".", "..", "-", "\"", "\\", " ", "\t", "\r\n ", "(", ")", "<", ">", "[", "]", ",", ";", ":", "%", "!", "`", "=?", "\x00", "\u00df", "\u2024",
		"\uff20", "\uff0e", "xn--", "evil.example", "@evil.example", "A", "1", "_", "+", "\xff", "\u200d", "group: ", ";", strings.Repeat("a", 64),
	}
	const made = 60_000
	draw := rand.New(rand.NewPCG(5322, 6531))
	for range made {
		text := seeds[draw.IntN(len(seeds))]
		for range 1 + draw.IntN(3) {
			at := draw.IntN(len(text) + 1)
			if draw.IntN(4) == 0 && at < len(text) {
				text = text[:at] + text[at+1:]
				continue
			}
			text = text[:at] + pieces[draw.IntN(len(pieces))] + text[at:]
		}
		all = append(all, text)
	}
	return all
}

// net/mail must accept every address that package rules accepts, with the same domain. Each address that only net/mail
// accepts must be rejected for a documented reason.
func TestNetMail(t *testing.T) {
	seen := map[string]int{}
	both := 0
	for _, text := range addresses() {
		address, fault := rules.ParseAddress(text)
		theirs, err := mail.ParseAddress(text)
		switch {
		case fault != nil && err != nil:
		case fault == nil && err != nil:
			t.Errorf("%q: we accept it, and net/mail says %v", text, err)
		case fault != nil:
			class := refusedBy(text, theirs.Address, fault)
			if class == "" {
				t.Errorf("%q: net/mail reads %q, and we say %v", text, theirs.Address, fault)
			}
			seen[class]++
		default:
			both++
			_, domain, _ := strings.Cut(theirs.Address, "@")
			switch ours := address.Domain().String(); {
			case ours == domain:
			case ours == strings.ToLower(domain) && isASCII(domain):
				seen[capitals]++
			case !isASCII(domain) && strings.Contains(ours, "xn--"):
				if again, err := rules.ParseDomain(domain); err != nil || again.String() != ours {
					t.Errorf("%q: %s for us, %s for net/mail", text, ours, domain)
				}
				seen[encoded]++
			default:
				t.Errorf("%q: %s for us, %s for net/mail", text, ours, domain)
			}
		}
	}
	if both < 1000 {
		t.Errorf("only %d addresses that both accept", both)
	}
	explained(t, seen, dressed, quoted, literal, otherLocal, otherDomain, tooLong, capitals, encoded)
}

// refusedBy returns the kind of difference of an address that net/mail accepts and package rules rejects.
func refusedBy(text, read string, fault error) string {
	local, domain, _ := strings.Cut(read, "@")
	if at := strings.LastIndexByte(read, '@'); at >= 0 {
		local, domain = read[:at], read[at+1:]
	}
	switch {
	case fault.Error() == string(rules.TooLong) || fault.Error() == string(rules.LabelTooLong):
		return tooLong
	case strings.HasPrefix(domain, "["):
		return literal
	case strings.ContainsAny(text, "\""):
		return quoted
	case text != read:
		return dressed // with a display name, comments, blanks or a group
	case fault.Error() == string(rules.BadLocalPart) && (!isASCII(local) || strings.ContainsAny(local, "%!`") || strings.Contains(local, "=?")):
		return otherLocal
	case fault.Error() != string(rules.BadLocalPart) && strings.Count(read, "@") == 1:
		return otherDomain
	default:
		return ""
	}
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
