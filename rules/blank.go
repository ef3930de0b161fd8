package rules

import (
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
)

// onlyBlanksInvalid reports whether an invalid value would be valid without its blanks: as an address or, in the
// attribute login, as a user name. The call is denied all the same, but the person gets a text that names the blank as
// the cause ([Texts.Blank]).
func (a *Attribute) onlyBlanksInvalid() bool {
	if len(a.Text) > address.MaxLength || !strings.ContainsFunc(a.Text, address.IsBlank) {
		return false
	}
	without := Attribute{Name: a.Name, Kind: Text, Text: strings.Map(func(r rune) rune {
		if address.IsBlank(r) {
			return -1
		}
		return r
	}, a.Text)}
	if without.isUserName() {
		return true
	}
	_, invalid := address.Read(without.Text, address.Mail)
	return invalid == ""
}
