package policyobject

import "regexp"

// entryPath matches the path of an entry: an item of a field of domains or addresses.
var entryPath = regexp.MustCompile(`^spec\.(allow|deny)\.(domains|publicSuffixes|addresses)\[\d+\]$`)

// EntryAt splits the path of an entry into side, allow or deny, and field, such as domains. found is false if the path
// is not that of an entry.
func EntryAt(path string) (side, field string, found bool) {
	match := entryPath.FindStringSubmatch(path)
	if match == nil {
		return "", "", false
	}
	return match[1], match[2], true
}

func isEntry(path string) bool { return entryPath.MatchString(path) }

// patternHints say what to write into fields with a pattern, since a regular expression is hard to read.
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
	{entryPath, "write a domain such as acme.com, or, among addresses, a plain address such as jo@acme.com"},
}

// patternHint returns what to write into a field whose value does not match its pattern.
func patternHint(path string) string {
	for _, hint := range patternHints {
		if hint.path.MatchString(path) {
			return hint.write
		}
	}
	return "write it as docs/reference/policy.md says"
}
