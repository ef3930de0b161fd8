package violation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/rules"
)

// ID is the kind of a violation. The set is closed, and part of the interface of `regpol lint`.
type ID string

const (
	// UnknownName: a field that the schema does not know, or that is written twice.
	UnknownName ID = "unknown-field"
	// Missing: a field or an item without a value, or a required field that is missing.
	Missing ID = "missing-value"
	// Duplicate: an item that is listed twice.
	Duplicate ID = "duplicate-item"
	// TooLong: a text that is too long, or a list of too many items.
	TooLong ID = "too-long"
	// WrongType: a value of another type, such as a list in place of a text.
	WrongType ID = "wrong-type"
	// UnknownValue: a value that is not one of the allowed ones.
	UnknownValue ID = "unknown-value"
	// InvalidEntry: an entry that is not a domain or an address.
	InvalidEntry ID = "invalid-entry"
	// InvalidValue: any other value that does not match the schema.
	InvalidValue ID = "invalid-value"
)

// IDs returns all kinds of violations.
func IDs() []ID {
	return []ID{UnknownName, Missing, Duplicate, TooLong, WrongType, UnknownValue, InvalidEntry, InvalidValue}
}

// IDOf returns the kind of a violation.
func IDOf(violation *field.Error) ID {
	switch violation.Type {
	case field.ErrorTypeForbidden:
		return UnknownName
	case field.ErrorTypeRequired:
		return Missing
	case field.ErrorTypeDuplicate:
		return Duplicate
	case field.ErrorTypeTooMany, field.ErrorTypeTooLong:
		if problem(violation) == wrongProfileValue {
			return WrongType
		}
		return TooLong
	case field.ErrorTypeTypeInvalid:
		return WrongType
	case field.ErrorTypeNotSupported:
		return UnknownValue
	default:
		if _, _, isEntry := EntryAt(violation.Field); isEntry {
			return InvalidEntry
		}
		if problem(violation) == wrongProfileValue {
			return WrongType
		}
		return InvalidValue
	}
}

// Corrected returns the value that the author of a violation probably meant, or the name of the field if the field is
// unknown. It returns "" if it knows no correction, or more than one. value is the text as its author wrote it. Unlike
// the texts of this package, the result may hold the local part of an address.
func Corrected(violation *field.Error, value string) string {
	switch violation.Type {
	case field.ErrorTypeForbidden:
		return meantBy(violation)
	case field.ErrorTypeNotSupported:
		return nearest(value, supportedValues(violation))
	case field.ErrorTypeInvalid:
		if _, corrected := entryFix(violation.Field, value); isAccepted(violation.Field, corrected) {
			return corrected
		}
	default:
	}
	return ""
}

// isAccepted reports whether an operator would put an entry in force if it were written at a path.
func isAccepted(path, entry string) bool {
	side, in, _ := EntryAt(path)
	var policy rules.Policy
	switch entries := []string{entry}; {
	case entry == "":
		return false
	case side == "deny" && in == "domains":
		policy.Deny.Domains = entries
	case side == "deny":
		policy.Deny.Addresses = entries
	case in == "domains":
		policy.Allow.Domains = entries
	case in == "publicSuffixes":
		policy.Allow.PublicSuffixes = entries
	default:
		policy.Allow.Addresses = entries
	}
	return len(rules.CompilePolicy(policy).Rejections()) == 0
}
