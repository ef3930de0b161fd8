package policyfile

import (
	"strings"
	"testing"
)

func TestAWarningIsLoggedOnceWithItsPlace(t *testing.T) {
	const looksWrong = "Part of a policy looks wrong"
	f := openDirectory(t, "a.yaml", policyFile("a", "\n  allow:\n    domains:\n    - acme.com\n    - gmail.com"))
	f.load(t)
	log := f.log.String()
	for _, want := range []string{looksWrong, "path=spec.allow.domains[1]", "a.yaml:", "gmail.com is a mailbox provider"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("%q is not there once in:\n%s", want, log)
		}
	}
	f.write(t, "b.yaml", policyFile("b", "\n  allow: {domains: [acme.com]}"))
	f.load(t)
	if n := strings.Count(f.log.String(), looksWrong); n != 3 {
		t.Errorf("%d lines, want one more for each of the two policies that allow the same", n)
	}
	f.write(t, "b.yaml", policyFile("b", "\n  allow: {domains: [example.org]}"))
	f.load(t)
	if n := strings.Count(f.log.String(), looksWrong); n != 3 {
		t.Errorf("%d lines, where nothing new looks wrong", n)
	}
}
