package lint_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/publicsuffix"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

func TestMailboxProvidersAreFewCanonicalAndRegisteredNames(t *testing.T) {
	names := lint.MailboxProviders()
	if len(names) < 50 || len(names) > 250 {
		t.Errorf("%d names", len(names))
	}
	for _, name := range names {
		domain, err := rules.ParseDomain(name)
		if err != nil || domain.String() != name {
			t.Errorf("%s is %s, %v", name, domain, err)
		}
		if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
			t.Errorf("%s is a public suffix", name)
		}
		if kind, ok := lint.MailboxProvider(domain); !ok || kind != "mailbox provider" && kind != "privacy relay" {
			t.Errorf("%s is a %q, %t", name, kind, ok)
		}
	}
	below, _ := rules.ParseDomain("a.gmail.com")
	if kind, ok := lint.MailboxProvider(below); ok {
		t.Errorf("a.gmail.com is a %s", kind)
	}
}

// The warnings at kubectl apply and those of the operator name the same.
func TestTheAdmissionPolicyNamesTheMailboxProvidersThatAreShipped(t *testing.T) {
	text, err := os.ReadFile("../../config/admission/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`(?s)- name: mailboxes\n    expression: >-\n(.*?)\n  - name:`).FindSubmatch(text)
	if variable == nil {
		t.Fatal("config/admission/policy.yaml has no variable mailboxes")
	}
	var named []string
	for _, match := range regexp.MustCompile(`'([^']*)'`).FindAllSubmatch(variable[1], -1) {
		named = append(named, string(match[1]))
	}
	slices.Sort(named)
	if diff := cmp.Diff(lint.MailboxProviders(), named); diff != "" {
		t.Errorf("config/admission/policy.yaml should have:\n%s\n%s", strings.Join(lint.MailboxProviders(), "', '"), diff)
	}
}
