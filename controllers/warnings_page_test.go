package controllers

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules/lint"
)

// Every example of docs/policies/warnings.md is applied, and has just the warnings that stand below it. The page shows
// the specs of policies, and their names where there are several.
func TestTheExamplesOfThePageHaveTheWarningsThatStandBelowThem(t *testing.T) {
	page, err := os.ReadFile("../docs/policies/warnings.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```\n\n```text\n(.*?)```\n")
	examples := 0
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		example := blocks.FindStringSubmatch(section)
		if example == nil {
			continue
		}
		examples++
		title, _, _ := strings.Cut(section, "\n")
		objects, want := example[1], strings.Join(strings.Fields(example[2]), " ")
		t.Run(title, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			f := newStatusFixture(t, cluster, false)
			var names []string
			for text := range strings.SplitSeq(objects, "---\n") {
				object := policyobject.New()
				if err := yaml.UnmarshalStrict([]byte(text), &object.Object); err != nil {
					t.Fatal(err)
				}
				object.SetGroupVersionKind(policyobject.New().GroupVersionKind())
				if object.GetName() == "" {
					object.SetName("partners")
				}
				object.SetNamespace(namespace)
				names = append(names, object.GetName())
				if err := cluster.Kube.Create(t.Context(), object, client.FieldValidation("Strict")); err != nil {
					t.Fatal(err)
				}
			}
			f.reconcile(t, namespace, names[0])
			_, got := statusOf(t, cluster, namespace, names[0])
			message := strings.ReplaceAll(got.message, namespace+"/", "registration-policy/")
			_, warnings, _ := strings.Cut(message, " Warnings: ")
			if warnings = strings.TrimSuffix(warnings, "."); got.reason != "AcceptedWithWarnings" || warnings != want {
				t.Errorf("%s\n%s", got.reason, cmp.Diff(want, warnings))
			}
		})
	}
	if examples < 10 {
		t.Errorf("only %d examples", examples)
	}
}

func TestThePageNamesTheMailboxProviders(t *testing.T) {
	page, err := os.ReadFile("../docs/policies/warnings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Which mailbox providers\n")
	var named []string
	for _, match := range regexp.MustCompile("`([a-z0-9-]+(?:\\.[a-z]+)+)`").FindAllStringSubmatch(section, -1) {
		named = append(named, match[1])
	}
	slices.Sort(named)
	if diff := cmp.Diff(lint.MailboxProviders(), named); diff != "" {
		t.Error(diff)
	}
}
