package violation

import (
	"regexp"
	"strings"
)

// entryPath matches the path of an entry, such as spec.allow.domains[0].
var entryPath = regexp.MustCompile(`^spec\.(allow|deny)\.(domains|publicSuffixes|addresses)\[\d+\]$`)

// EntryAt splits the path of an entry: side is allow or deny, and field is domains, publicSuffixes or addresses. found
// is false if the path is not that of an entry.
func EntryAt(path string) (side, field string, found bool) {
	match := entryPath.FindStringSubmatch(path)
	if match == nil {
		return "", "", false
	}
	return match[1], match[2], true
}

// patternHints say what to write into a field with a pattern. The regular expression of the schema is hard to read.
var patternHints = []struct {
	path  *regexp.Regexp
	write string
}{
	{regexp.MustCompile(`^spec\.appliesTo\.sources\[`),
		"write the id of an enrolment policy or rule of Okta: letters and digits, such as rul1bufGk5dJdRYw50g4"},
	{regexp.MustCompile(`^spec\.profile\[\d+\]\.attribute$`),
		"write the variable name of an attribute in Okta: a letter, then letters, digits and underscores, such as userType"},
	{regexp.MustCompile(`\.configMap\.name$`),
		"write the name of a ConfigMap: lowercase letters, digits, - and ., with a letter or digit at both ends"},
	{regexp.MustCompile(`\.(key|keys\[\d+\])$`), "write a key of a ConfigMap: letters, digits, -, _ and ."},
	{regexp.MustCompile(`\.lists\[\d+\]\.name$`),
		"write a name such as partners: lowercase letters, digits and -, with a letter or digit at both ends"},
	{regexp.MustCompile(`^spec\.message$`), "write one line of plain text, or leave the field out"},
	{regexp.MustCompile(`^metadata\.name$`),
		"write a name as in Kubernetes (RFC 1123): lowercase letters, digits, - and ., with a letter or digit at both ends"},
	{regexp.MustCompile(`^metadata\.namespace$`),
		"write a name as in Kubernetes (RFC 1123): lowercase letters, digits and -, with a letter or digit at both ends"},
	{regexp.MustCompile(`^metadata\.(labels|annotations)`),
		"write names and values as in Kubernetes: letters, digits, -, _ and ., with a letter or digit at both ends; " +
			"a name may have a domain and / in front"},
	{regexp.MustCompile(`\.addresses\[\d+\]$`), "write a plain address such as jo@acme.com"},
	{entryPath, "write a domain such as acme.com"},
}

// patternHint returns what to write into a field whose value is empty or does not match its pattern.
func patternHint(path string) string {
	for _, hint := range patternHints {
		if hint.path.MatchString(path) {
			return hint.write
		}
	}
	return "write it as docs/reference/policy.md says"
}

// requiredHint returns what to write into a field that is missing.
func requiredHint(path string) string {
	switch {
	case strings.HasPrefix(path, "spec.profile[") && strings.HasSuffix(path, ".value"):
		return "write a string, number, boolean, or a list of strings"
	case strings.HasSuffix(path, ".configMap"):
		return "write {name: …} with the name of a ConfigMap"
	case strings.HasSuffix(path, ".configMap.name"), strings.HasSuffix(path, ".attribute"):
		return patternHint(path)
	default:
		return ""
	}
}

// objectExample returns how to write a field whose value is a list or an object, "" for other fields.
func objectExample(path string) string {
	switch {
	case path == "spec.profile":
		return "a list of attributes, each as {attribute: …, value: …}"
	case profileItem.MatchString(path):
		return "{attribute: …, value: …}"
	case IsListPath(path):
		return "{configMap: {name: …}} with the name of a ConfigMap"
	case strings.HasSuffix(path, ".configMap"):
		return "{name: …} with the name of a ConfigMap"
	default:
		return ""
	}
}
