package rules

import (
	"strings"
	"unicode"
)

// onlyBlanksInvalid says whether text that does not parse would be an address, or a user name, without its blanks. It explains a
// denial to the person: the address stays invalid.
func (a *Attribute) onlyBlanksInvalid() bool {
	if len(a.Text) > maxAddress || !strings.ContainsFunc(a.Text, IsBlank) {
		return false
	}
	without := Attribute{Name: a.Name, Kind: Text, Text: strings.Map(func(r rune) rune {
		if IsBlank(r) {
			return -1
		}
		return r
	}, a.Text)}
	if without.isUserName() {
		return true
	}
	_, invalid := parseAddress(without.Text)
	return invalid == ""
}

// IsBlank tells the characters of [Blank]: white space, line breaks included, and the characters that are invisible by themselves,
// Unicode's Default_Ignorable_Code_Point, by the properties that it is derived from (DerivedCoreProperties.txt).
func IsBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}
