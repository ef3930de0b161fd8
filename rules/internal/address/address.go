// Package address parses mail addresses and domains into canonical form, and makes the keys by which addresses are
// compared.
//
// Package rules exports its types to callers. It does not export the keys, because they hold local parts.
package address

import (
	"strings"
	"unicode/utf8"
)

const (
	// MaxLength is the length of the longest address in bytes: a path of RFC 5321 4.5.3.1.3 without its angle brackets,
	// as in RFC 3696 erratum 1690.
	MaxLength = 254
	// MaxKey is the length of the longest result of AppendKey and AppendSubAddressesKey in bytes.
	MaxKey = MaxLength + len(SubAddresses)

	maxLocalPart = 64 // bytes: RFC 5321 4.5.3.1.1
)

// SubAddresses ends the local part of an entry that means an address and all of its sub-addresses (RFC 5233):
// jo+*@x.example matches jo@x.example, jo+shop@x.example and so on. It is the only pattern for local parts.
const SubAddresses = "+*"

// Address is a mail address in the plain form that every mail system reads the same way. The zero value is invalid.
// It has no String method on purpose: a local part must not reach a log by accident.
type Address struct {
	local  string
	domain Domain
}

// Domain returns the address's domain.
func (a Address) Domain() Domain { return a.domain }

// Parse returns the address that s spells. Its error is an [Invalid].
//
// Parse is strict: it trims nothing, and accepts no comments, quotes, display names or address literals. The local part
// must be an ASCII dot-atom (RFC 5322 3.2.3) without the characters by which some mail systems route or decode. Parse
// does not check that the mailbox exists or belongs to the person.
func Parse(s string) (Address, error) {
	a, invalid := Read(s, Mail)
	if invalid != "" {
		return Address{}, invalid
	}
	return a, nil
}

// Read is [Parse] with a given syntax for the domain. The second result is "" for a valid address.
func Read(s string, syntax Syntax) (Address, Invalid) {
	if len(s) > MaxLength {
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
	if invalid := CheckLocalPart(local); invalid != "" {
		return Address{}, invalid
	}
	name, invalid := ReadName(domain, syntax)
	if invalid != "" {
		return Address{}, invalid
	}
	if len(local)+len("@")+len(name) > MaxLength {
		return Address{}, TooLong // the limit is for the A-labels, the form in which mail is sent to the address
	}
	return Address{local, Domain{name}}, ""
}

// Key returns the form in which addresses are compared: the local part with A–Z in lower case, and the canonical
// domain. RFC 5321 2.4 permits mailboxes that differ in case only, but no mail system in use gives jo@ and Jo@ to two
// people, and Okta compares logins without case.
func Key(a Address) string { return string(AppendKey(nil, a)) }

// KeyOf is [Key] for the address of a valid local part and a canonical domain name.
func KeyOf(local, name string) string { return Key(Address{local, Domain{name}}) }

// AppendKey appends the key of a to b, which must be empty. It does not allocate if b has a capacity of [MaxKey].
func AppendKey(b []byte, a Address) []byte { return a.appendKey(b, "") }

// appendKey appends the key of an address to b, with suffix added to the local part.
func (a Address) appendKey(b []byte, suffix string) []byte {
	b = append(b, a.local...)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] |= 0x20
		}
	}
	b = append(b, suffix...)
	b = append(b, '@')
	return append(b, a.domain.name...)
}

// AppendSubAddressesKey appends to b, which must be empty, the key of the entry with [SubAddresses] that matches an
// address. For jo@ and for jo+x@, this is the key of jo+*@. It returns nil if the local part of the address is jo+*
// itself: [Key] returns that key already.
func AppendSubAddressesKey(b []byte, a Address) []byte {
	base, detail, _ := strings.Cut(a.local, "+")
	if detail == "*" {
		return nil
	}
	return Address{base, a.domain}.appendKey(b, SubAddresses)
}

// SubAddressesKey returns the key of the entry with [SubAddresses] that matches the address of a key: the key of jo+*@
// for those of jo@ and jo+x@.
func SubAddressesKey(key string) string {
	local, domain, _ := strings.Cut(key, "@")
	base, _, _ := strings.Cut(local, "+")
	return base + SubAddresses + "@" + domain
}

// IsSubAddressesKey reports whether a key means an address with all of its sub-addresses.
func IsSubAddressesKey(key string) bool { return strings.Contains(key, SubAddresses+"@") }

// CheckLocalPart returns "" for a valid local part, and otherwise what is wrong with it.
func CheckLocalPart(local string) Invalid {
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

// isAtext reports whether c is a character of an atom (RFC 5322 3.2.3) other than %, ! and backquote. Some mail systems
// route an address with % or ! to another host, and a backquote is dangerous in shell commands.
func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return strings.IndexByte("#$&'*+-/=?^_{|}~", c) >= 0
	}
}

// IsUserName reports whether a login is a user name rather than an address: printable ASCII without @, spaces, quotes,
// and the characters of other notations for an address (%, angle brackets) or for a Windows account (backslash).
func IsUserName(login string) bool {
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
