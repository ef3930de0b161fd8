package policyobject

import "regexp"

// entryPath is the path of an entry: an index in one of the fields that hold domains or addresses.
var entryPath = regexp.MustCompile(`^spec\.(allow|deny)\.(domains|publicSuffixes|addresses)\[\d+\]$`)

// EntryAt returns where an entry stands whose path this is: allow or deny, and the field, such as domains. It is not found where the path
// is not one of an entry.
func EntryAt(path string) (side, field string, found bool) {
	match := entryPath.FindStringSubmatch(path)
	if match == nil {
		return "", "", false
	}
	return match[1], match[2], true
}

func isEntry(path string) bool { return entryPath.MatchString(path) }

// shapes are what the fields with a pattern hold: a pattern is no sentence.
var shapes = []struct {
	path  *regexp.Regexp
	write string
}{
	{regexp.MustCompile(`^spec\.appliesTo\.sources\[`),
		"write the id of an enrolment policy or rule of Okta: letters and digits, such as rul1bufGk5dJdRYw50g4"},
	{regexp.MustCompile(`^spec\.profile\[\d+\]\.attribute$`),
		"write the variable name of an attribute in Okta: a letter, then letters, digits and underscores, such as userType"},
	{regexp.MustCompile(`\.configMap\.name$`),
		"write the name of a ConfigMap: small letters, digits, - and ., with a letter or digit at both ends"},
	{regexp.MustCompile(`\.(key|keys\[\d+\])$`), "write a key of a ConfigMap: letters, digits, -, _ and ."},
	{regexp.MustCompile(`\.lists\[\d+\]\.name$`), "write a name such as partners: small letters, digits and -, with a letter or digit at both ends"},
	{regexp.MustCompile(`^spec\.message$`), "write one line of plain text, or leave the field out"},
	{regexp.MustCompile(`^metadata\.name$`),
		"write a name as in Kubernetes (RFC 1123): small letters, digits, - and ., with a letter or digit at both ends"},
	{regexp.MustCompile(`^metadata\.namespace$`),
		"write a name as in Kubernetes (RFC 1123): small letters, digits and -, with a letter or digit at both ends"},
	{regexp.MustCompile(`^metadata\.(labels|annotations)`),
		"write names and values as in Kubernetes: letters, digits, -, _ and ., with a letter or digit at both ends; a name may have a domain and / in front"},
	{entryPath, "write a domain such as acme.com, or, among addresses, a plain address such as jo@acme.com"},
}

// shape returns what to write into a field whose pattern its value does not match.
func shape(path string) string {
	for _, shape := range shapes {
		if shape.path.MatchString(path) {
			return shape.write
		}
	}
	return "write it as docs/reference/policy.md says"
}
