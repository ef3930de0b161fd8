package address

import "unicode"

// IsBlank reports whether a character is a blank, as in [Blank]: white space, line breaks included, or a character that
// is invisible by itself. The invisible ones are Unicode's Default_Ignorable_Code_Point, which Go's unicode package
// lacks; IsBlank derives it as DerivedCoreProperties.txt does.
func IsBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}
