package policyfile

import (
	"strings"
	"testing"
)

func TestNoErrorAboutAFileShowsARegularExpression(t *testing.T) {
	for sentence, spec := range map[string]string{
		"a source":          "\n  appliesTo: {sources: [\"a b\"]}\n  allow: {domains: [acme.com]}",
		"an attribute":      "\n  allow: {domains: [acme.com]}\n  profile: [{attribute: a-b, value: x}]",
		"a list":            "\n  deny: {lists: [{configMap: {name: A_b}}]}",
		"a key of a list":   "\n  deny: {lists: [{configMap: {name: a, key: \"a b\"}}]}",
		"a domain":          "\n  allow: {domains: [\"!\"]}",
		"an address":        "\n  allow: {addresses: [\"!\"]}",
		"a message":         "\n  allow: {domains: [acme.com]}\n  message: \"<b>\"",
		"an empty list":     "\n  allow: {domains: []}",
		"an empty source":   "\n  appliesTo: {sources: [\"\"]}\n  allow: {domains: [acme.com]}",
		"an empty message":  "\n  allow: {domains: [acme.com]}\n  message: \"\"",
		"an unknown mode":   "\n  mode: enforce\n  allow: {domains: [acme.com]}",
		"a number for text": "\n  allow: {domains: [7]}",
	} {
		t.Run(sentence, func(t *testing.T) {
			got := openDirectory(t, "a.yaml", policyFile("a", spec)).refused(t)
			if strings.Contains(got, "should ") || strings.Contains(got, "in body") || strings.ContainsAny(got, "^$\\") {
				t.Errorf("the error is\n%s", got)
			}
			if !strings.Contains(got, "write") && !strings.Contains(got, "supported values") {
				t.Errorf("the error says no fix:\n%s", got)
			}
		})
	}
	for _, name := range []string{"No_", "-a", "{name: a, labels: {\"a b\": c}}"} {
		text := strings.Replace(policyFile("good", allowAcme), "name: good", "name: "+name, 1)
		if strings.HasPrefix(name, "{") {
			text = strings.Replace(policyFile("good", allowAcme), "{name: good}", name, 1)
		}
		if got := openDirectory(t, "a.yaml", text).refused(t); strings.Contains(got, "regex") || !strings.Contains(got, ": write ") {
			t.Errorf("%s: the error is\n%s", name, got)
		}
	}
}
