package violation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// nullDetail is the detail of the violation that [Null] returns.
const nullDetail = "null"

// Null returns the violation of a field or item that is null.
func Null(path *field.Path) *field.Error { return field.Required(path, nullDetail) }

func isNull(violation *field.Error) bool {
	return violation.Type == field.ErrorTypeRequired && violation.Detail == nullDetail
}

// TextOf returns the path of a violation, what is wrong with value, and the fix. value is the text at that path as its
// author wrote it. TextOf does not quote a value that may be personal: one that may hold the local part of an address,
// or that is the value of a profile attribute.
func TextOf(violation *field.Error, value string) string {
	text := Text(violation)
	path := violation.Field + ": "
	if violation.Type == field.ErrorTypeForbidden || isNull(violation) {
		return text
	}
	switch violation.Type {
	case field.ErrorTypeDuplicate, field.ErrorTypeTypeInvalid: // the value alone is not wrong
	case field.ErrorTypeTooLong:
		if limit := atMost.FindString(violation.Detail); limit != "" {
			return fmt.Sprintf("%shas %d characters: write at most %s", path, utf8.RuneCountInString(value), limit)
		}
	default:
		if fix := EntryFix(violation.Field, value); fix != "" {
			return path + fix
		}
	}
	if strings.HasPrefix(violation.Field, "spec.profile[") && !strings.HasSuffix(violation.Field, ".attribute") {
		return text // the value may be personal
	}
	if isAddresses(violation.Field) {
		return text // a value without an @ may be a local part
	}
	if _, _, isEntry := EntryAt(violation.Field); isEntry && !inOneWord(value) {
		return text
	}
	if violation.Type == field.ErrorTypeNotSupported && value == "" {
		return path + "is empty: write " + strings.Join(supportedValues(violation), " or ")
	}
	if !quotable(value) {
		return text
	}
	if violation.Type == field.ErrorTypeNotSupported {
		supported := supportedValues(violation)
		if near := nearest(value, supported); near != "" {
			supported = []string{near}
		}
		return fmt.Sprintf("%s%q is unknown: write %s", path, value, strings.Join(supported, " or "))
	}
	return fmt.Sprintf("%s%q: %s", path, value, strings.TrimPrefix(text, path))
}

// Text returns the path of a violation, what is wrong there, and the fix. It does not quote the value.
func Text(violation *field.Error) string { return violation.Field + ": " + problem(violation) }

// wrongProfileValue is the text about a profile attribute whose value is an object. The schema's own text says only
// that the object has too many fields, because it allows none.
const wrongProfileValue = "is of type object: write a string, number, boolean, or a list of strings"

// problem returns what is wrong and the fix, without the path.
func problem(violation *field.Error) string {
	path, detail := violation.Field, violation.Detail
	switch violation.Type {
	case field.ErrorTypeRequired:
		switch {
		case isNull(violation) && strings.HasSuffix(path, "]"):
			return "has no value: write one, or remove the item"
		case isNull(violation) && requiredHint(path) != "":
			return "has no value: " + requiredHint(path)
		case isNull(violation):
			return "has no value: write one, or leave the field out"
		case detail == "":
			detail = requiredHint(path)
		}
		return strings.TrimSuffix("required: "+detail, ": ")
	case field.ErrorTypeDuplicate:
		switch {
		case IsListPath(path):
			return "several lists have the same name, or none; give each its own name, as in {name: partners, configMap: …}"
		case profileItem.MatchString(path):
			return "an earlier item has the same attribute: write each attribute once"
		}
		return "listed twice; write each item once"
	case field.ErrorTypeTooMany:
		if strings.HasPrefix(path, "spec.profile[") && strings.HasPrefix(detail, "must have at most 0 ") {
			return wrongProfileValue
		}
		text := "too many: write at most " + atMost.FindString(detail) + " items"
		if entryField.MatchString(path) {
			text += ", and further ones in a list (spec." + strings.Split(path, ".")[1] + ".lists)"
		}
		return text
	case field.ErrorTypeTooLong:
		return "too long: write at most " + atMost.FindString(detail) + " characters"
	case field.ErrorTypeNotSupported:
		return "unknown: write " + strings.Join(supportedValues(violation), " or ")
	case field.ErrorTypeForbidden:
		return detail
	default:
		return plainDetail(violation)
	}
}

var (
	atMost      = regexp.MustCompile(`[0-9]+`)
	quotedText  = regexp.MustCompile(`"([^"]*)"`)
	profileItem = regexp.MustCompile(`^spec\.profile\[\d+\]$`)
	entryField  = regexp.MustCompile(`^spec\.(allow|deny)\.(domains|publicSuffixes|addresses)$`)
	listPath    = regexp.MustCompile(`^spec\.(allow|deny)\.lists\[\d+\]$`)
)

// isAddresses reports whether path is that of spec.allow.addresses or spec.deny.addresses, or of an item of them.
var isAddresses = regexp.MustCompile(`^spec\.(allow|deny)\.addresses(\[|$)`).MatchString

// IsListPath reports whether path names an item of spec.allow.lists or spec.deny.lists, as spec.deny.lists[0] does.
func IsListPath(path string) bool { return listPath.MatchString(path) }

// supportedValues returns the values that an enum of the schema allows.
func supportedValues(violation *field.Error) []string {
	var values []string
	for _, match := range quotedText.FindAllStringSubmatch(violation.Detail, -1) {
		values = append(values, match[1])
	}
	return values
}

var (
	inBody    = regexp.MustCompile(`^\S* in body `)
	wrongType = regexp.MustCompile(`^must be of type (\w+): "(\w+)"$`)
	// yamlTypes describe how to write each JSON type in YAML.
	yamlTypes = map[string]string{
		"array": "a list, one item after each - or between [ and ]", "object": "fields, each as name: value",
		"string": "text, in quotes where YAML takes it for something else", "boolean": "true or false", "integer": "a whole number",
		"number": "a number",
	}
)

// violatesPattern reports whether the value does not match the regular expression of its field.
func violatesPattern(violation *field.Error) bool {
	detail := inBody.ReplaceAllLiteralString(violation.Detail, "")
	return strings.HasPrefix(detail, "should match ") || strings.Contains(detail, "regex used for validation")
}

// plainDetail returns the detail of a violation in words for the author of a file. The texts of Kubernetes repeat a
// part of the path, mention the body of a request, show regular expressions, and give no fix.
func plainDetail(violation *field.Error) string {
	detail := inBody.ReplaceAllLiteralString(violation.Detail, "")
	switch {
	case strings.HasPrefix(violation.Field, "spec.profile[") && strings.Contains(detail, "properties"):
		return wrongProfileValue
	case violatesPattern(violation):
		return patternHint(violation.Field)
	case strings.HasPrefix(detail, "should have at least 1 items"):
		return "is empty; write an item, or leave the field out"
	case strings.HasPrefix(detail, "should be at least"):
		return "is empty; " + patternHint(violation.Field)
	case strings.HasPrefix(detail, "must be no more than "):
		return "too long: write at most " + atMost.FindString(detail) + " characters"
	case strings.HasPrefix(detail, "should have at least 1 properties"):
		return "is empty; write one of its fields, or leave it out"
	}
	if match := wrongType.FindStringSubmatch(detail); match != nil && yamlTypes[match[1]] != "" {
		write := yamlTypes[match[1]]
		if example := objectExample(violation.Field); example != "" && slices.Contains([]string{"array", "object"}, match[1]) {
			write = example
		}
		return fmt.Sprintf("must be of type %s, and is of type %s; write %s", match[1], match[2], write)
	}
	return detail
}
