package policyfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// local stands before the @ of the addresses in the seeds. No text of an error may hold it.
const local = "zaunkoenig"

// FuzzReadPolicies holds the reader of policy files, and what is made of the policies, to what must be true of any text.
func FuzzReadPolicies(f *testing.F) {
	files, err := filepath.Glob("../../test/api/testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	samples, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(samples) == 0 {
		f.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, file := range append(files, samples...) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.ReplaceAll(string(text), "jo@", local+"@"))
	}
	f.Add("a: &a [*a]")
	f.Add("apiVersion: v1\nkind: List\nitems: [{}]\n")
	reader, err := NewOffline()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		policies, err := reader.ReadFiles(t.Context(), []string{"-"}, strings.NewReader(text))
		if err != nil {
			if len(policies) > 0 {
				t.Fatal("policies in spite of an error")
			}
			// A local part may be quoted only if the same text is also elsewhere, for example as a name.
			if strings.Contains(err.Error(), local) && !strings.Contains(strings.ReplaceAll(text, local+"@", ""), local) {
				t.Fatalf("the error holds a local part: %v", err)
			}
			return
		}
		bare := make([]rules.Policy, len(policies))
		for i := range policies {
			bare[i] = policies[i].Policy
		}
		snapshot, rejections := rules.Compile(bare)
		for _, rejection := range rejections {
			if strings.Contains(rejection.Message, local) && !strings.Contains(strings.ReplaceAll(text, local+"@", ""), local) {
				t.Fatalf("a rejection holds a local part: %+v", rejection)
			}
		}
		again, err := reader.ReadFiles(t.Context(), []string{"-"}, strings.NewReader(text))
		if err != nil || len(again) != len(policies) {
			t.Fatalf("read again: %d policies, %v", len(again), err)
		}
		// No policies allow an invalid address.
		for _, address := range []string{"", "jo", "jo@@acme.com", "jo@acme.com."} {
			call := rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: address}}}
			if decision := snapshot.Decide(call); decision.Outcome == rules.Allow {
				t.Fatalf("%q is allowed", address)
			}
		}
	})
}
