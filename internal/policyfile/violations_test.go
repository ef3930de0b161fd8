package policyfile

import (
	"fmt"
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

func TestAMistakeGivesOneLineWithItsFix(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for spec, want := range map[string]string{
		"mode: audit | allow: {domains: [acme.com]}": `5: spec.mode: "audit" is unknown: write Audit`,
		"mode: true | allow: {domains: [acme.com]}":  `5: spec.mode: "true" is unknown: write Enforce or Audit`,
		"mode: '' | allow: {domains: [acme.com]}":    "5: spec.mode: is empty: write Enforce or Audit",
		"appliesTo: {requestTypes: [SelfServiceRegistration, ProgressiveProfile, signup]} | deny: {domains: [ru]}": "" +
			`5: spec.appliesTo.requestTypes[2]: "signup" is unknown: ` +
			"write SelfServiceRegistration or ProgressiveProfile",
		"allows: {domains: [acme.com]}":                       "5: spec.allows: unknown field; did you mean allow?",
		"denies: {domains: [acme.com]}":                       "5: spec.denies: unknown field; did you mean deny?",
		"allow: {domian: [acme.com]}":                         "5: spec.allow.domian: unknown field; did you mean domains?",
		"allow: {domain: [acme.com]}":                         "5: spec.allow.domain: unknown field; did you mean domains?",
		"deny: {publicSuffixes: [co.uk]}":                     "5: spec.deny.publicSuffixes: unknown field; did you mean domains?",
		"applies_to: {} | deny: {domains: [ru]}":              "5: spec.applies_to: unknown field; did you mean appliesTo?",
		"appliesTo: {source: [rul1]} | deny: {domains: [ru]}": "5: spec.appliesTo.source: unknown field; did you mean sources?",
		"domains: [acme.com]":                                 "5: spec.domains: unknown field; write it in spec.allow or spec.deny",
		"allow: | domains: [acme.com]":                        "6: spec.domains: unknown field; write it in spec.allow or spec.deny",
		"sources: [rul1] | deny: {domains: [ru]}":             "5: spec.sources: unknown field; write it in spec.appliesTo",
		"allow: {domains: [acme.com], message: x}":            "5: spec.allow.message: unknown field; write it in spec",
		"allow: {lists: [{configmap: {name: a}}]}":            "5: spec.allow.lists[0].configmap: unknown field; did you mean configMap?",
		"allow: {lists: [{configMap: {name: a, namespace: b}}]}": "" +
			"5: spec.allow.lists[0].configMap.namespace: unknown field; the fields here are key, name",
		"profile: [{name: x, value: y}] | deny: {domains: [ru]}": "5: spec.profile[0].name: unknown field; did you mean attribute?",
		"profile: {userType: x} | deny: {domains: [ru]}": "5: spec.profile: must be of type array, and is of type object; " +
			"write a list of attributes, each as {attribute: …, value: …}",
		"profile: [userType] | deny: {domains: [ru]}": "" +
			"5: spec.profile[0]: must be of type object, and is of type string; write {attribute: …, value: …}",
		"profile: [{attribute: a, value: }] | deny: {domains: [ru]}": "" +
			"5: spec.profile[0].value: has no value: write a string, number, boolean, or a list of strings",
		"profile: [{attribute: a, value: {b: c}}] | deny: {domains: [ru]}": "5: spec.profile[0].value: is of type object: " +
			"write a string, number, boolean, or a list of strings",
		"deny: {lists: [partners]}": `5: spec.deny.lists[0]: "partners": must be of type object, and is of type string; ` +
			"write {configMap: {name: …}} with the name of a ConfigMap",
		"deny: {domains: [ru, null]}": "5: spec.deny.domains[1]: has no value: write one, or remove the item",
		"deny: {domains: }":           "5: spec.deny.domains: has no value: write one, or leave the field out",
		"deny: {domains: ['']}":       "5: spec.deny.domains[0]: is empty; write a domain such as acme.com",
		"deny: {domains: [acme.com., acme.com.]}": "5: spec.deny.domains[1]: \"acme.com.\": listed twice; write each item once\n" +
			"5: spec.deny.domains[0]: \"acme.com.\" ends in a dot: write acme.com",
		"deny: {domains: [" + long(64) + ".com]}": "" +
			"5: spec.deny.domains[0]: has more than 63 characters between two dots: write the domain as in an address",
		"deny: {domains: [" + long(300) + "]}": "5: spec.deny.domains[0]: has 300 characters: write at most 253",
		"deny: {addresses: ['']}":              "5: spec.deny.addresses[0]: is empty; write a plain address such as jo@acme.com",
		"deny: {addresses: ['{local}@acme']}": "" +
			"5: spec.deny.addresses[0]: the part after its @ has no dot: write a whole domain, such as acme.com",
		"deny: {domains: [" + numbered(1001) + "]}": "" +
			"5: spec.deny.domains: too many: write at most 1000 items, and further ones in a list (spec.deny.lists)",
		"message: '' | deny: {domains: [ru]}": "5: spec.message: is empty; write one line of plain text, or leave the field out",
		"mode: audit | deny: {domains: [ru.]}": "" +
			"5: spec.mode: \"audit\" is unknown: write Audit\n6: spec.deny.domains[0]: \"ru.\" ends in a dot: write ru",
	} {
		got := openDirectory(t, "p.yaml", policyFile("p", "\n  "+strings.ReplaceAll(spec, " | ", "\n  "))).refused(t)
		if got = strings.ReplaceAll(got, "p.yaml:", ""); got != want {
			t.Errorf("%.60s:\n got %s\nwant %s", spec, got, want)
		}
	}
}

func TestAMistakeOutsideOfTheSpecGivesOneLine(t *testing.T) {
	good := policyFile("good", allowAcme)
	for text, want := range map[string]string{
		strings.Replace(good, "spec:", "Spec:", 1):                                       "4: Spec: unknown field; did you mean spec?",
		strings.Replace(good, "apiVersion:", "apiversion:", 1):                           "1: apiversion: unknown field; did you mean apiVersion?",
		strings.Replace(good, "{name: ", "{nam: ", 1):                                    "3: metadata.nam: unknown field; did you mean name?",
		strings.Replace(good, "spec:\n  allow:", "allow:", 1):                            "4: allow: unknown field; write it in spec",
		strings.Replace(good, "kind: RegistrationPolicy\n", "", 1):                       "1: kind: required: write RegistrationPolicy",
		strings.Replace(good, "{name: good}", "{name: "+strings.Repeat("a", 300)+"}", 1): "3: metadata.name: too long: write at most 253 characters",
		strings.Replace(good, "{name: good}", "{name: 7}", 1): "3: metadata: write an object with a name, " +
			"and put numbers, true and false among names, labels and annotations in quotes",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {registrationpolicy.dev/list: true}}\n": "" +
			"3: metadata: write an object with a name, " +
			"and put numbers, true and false among names, labels and annotations in quotes",
	} {
		got := strings.ReplaceAll(openDirectory(t, "p.yaml", text).refused(t), "p.yaml:", "")
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// numbered returns n different domains, with commas between.
func numbered(n int) string {
	var domains []string
	for i := range n {
		domains = append(domains, fmt.Sprintf("d%d.example", i))
	}
	return strings.Join(domains, ", ")
}
