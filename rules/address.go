package rules

import (
	"strings"
	"unicode/utf8"
)

const (
	maxAddress   = 254 // bytes: RFC 5321 4.5.3.1.3 less the angle brackets, RFC 3696 erratum 1690
	maxLocalPart = 64  // bytes: RFC 5321 4.5.3.1.1
	// maxKey is the length of the longest key that is looked for, in bytes.
	maxKey = maxAddress + len(subAddresses)
)

// Address is a mail address in the plain form that every mail system reads the same way. The zero value is invalid.
// It has no String method on purpose: a local part must not reach a log by accident.
type Address struct {
	local  string
	domain Domain
}

// Domain returns the address's domain.
func (a Address) Domain() Domain { return a.domain }

// key is the form by which addresses are compared: local parts without regard to ASCII case. Mail systems may tell case
// apart (RFC 5321 2.4), but one that gives jo@ and Jo@ to two people is not to be had, and Okta folds logins.
func (a Address) key() string { return string(a.appendKey(nil)) }

// appendKey appends the key to b, which is empty: with room for it, nothing is allocated.
func (a Address) appendKey(b []byte) []byte { return a.appendKeyWith(b, "") }

// appendKeyWith is appendKey with something more at the end of the local part.
func (a Address) appendKeyWith(b []byte, end string) []byte {
	b = append(b, a.local...)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] |= 0x20
		}
	}
	b = append(b, end...)
	b = append(b, '@')
	return append(b, a.domain.name...)
}

// appendSubAddressesKey appends to b, which is empty, the key of the one entry that means the address as a sub-address of
// another, or with all of its own: of jo@ and of jo+x@ it is that of jo+*@. It returns nil where key finds that entry, too.
// The result has up to maxKey bytes.
func (a Address) appendSubAddressesKey(b []byte) []byte {
	base, detail, _ := strings.Cut(a.local, "+")
	if detail == "*" {
		return nil
	}
	return Address{base, a.domain}.appendKeyWith(b, subAddresses)
}

// subAddressesKey returns the key of the entry that means the address of a key as a sub-address, or with all of its own.
func subAddressesKey(key string) string {
	local, domain, _ := strings.Cut(key, "@")
	base, _, _ := strings.Cut(local, "+")
	return base + subAddresses + "@" + domain
}

// isSubAddressesKey tells the keys that mean an address with all its sub-addresses from those of one address.
func isSubAddressesKey(key string) bool { return strings.Contains(key, subAddresses+"@") }

// ParseAddress returns the address that s spells, or an [Invalid].
//
// It is strict, and repairs nothing: no trimming, no comments, no quotes, no display names, no literals. The local part is
// an ASCII dot-atom (RFC 5322 3.2.3) without what some mail systems route by or decode. Whether the mailbox exists or
// belongs to the person is not checked.
func ParseAddress(s string) (Address, error) {
	a, invalid := parseAddress(s)
	if invalid != "" {
		return Address{}, invalid
	}
	return a, nil
}

func parseAddress(s string) (Address, Invalid) { return parseAddressAs(s, mailDomain) }

// parseAddressAs is parseAddress for other syntaxes of the domain.
func parseAddressAs(s string, syntax syntax) (Address, Invalid) {
	if len(s) > maxAddress {
		return Address{}, TooLong
	}
	if !utf8.ValidString(s) {
		return Address{}, NotUTF8
	}
	local, domain, found := strings.Cut(s, "@")
	if !found {
		return Address{}, NoAtSign
	}
	if strings.Contains(domain, "@") {
		return Address{}, ManyAtSigns
	}
	if invalid := checkLocalPart(local); invalid != "" {
		return Address{}, invalid
	}
	name, invalid := parseName(domain, syntax)
	if invalid != "" {
		return Address{}, invalid
	}
	if len(local)+len("@")+len(name) > maxAddress {
		return Address{}, TooLong // with A-labels, which is how it is mailed to
	}
	return Address{local, Domain{name}}, ""
}

func checkLocalPart(local string) Invalid {
	if len(local) > maxLocalPart {
		return TooLong
	}
	if local == "" || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return BadLocalPart
	}
	for i := range len(local) {
		if c := local[i]; c != '.' && !isAtext(c) {
			return BadLocalPart
		}
	}
	if strings.Contains(local, "=?") {
		return BadLocalPart // the start of an encoded word (RFC 2047), which some mail systems decode
	}
	return ""
}

// isAtext tells the characters of an atom (RFC 5322 3.2.3) but for %, ! and backquote: the percent hack and bang paths
// route to another host, and a backquote reaches shells.
func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return strings.IndexByte("#$&'*+-/=?^_{|}~", c) >= 0
	}
}

// isUserName tells a login that is a user name rather than an address: printable ASCII without @, spaces, quotes, and
// without what could be an address, or a domain's account, in another notation.
func isUserName(login string) bool {
	if login == "" {
		return false
	}
	for i := range len(login) {
		if c := login[i]; c <= ' ' || c > '~' || strings.IndexByte("@\"'`%\\<>", c) >= 0 {
			return false
		}
	}
	return true
}
