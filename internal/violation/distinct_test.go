package violation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/test/fixture"
)

func TestAnUnknownFieldSuggestsOneThatTheAuthorMeant(t *testing.T) {
	known := []string{"allow", "appliesTo", "deny", "message", "mode", "profile", "profileOn"}
	for path, want := range map[string]string{
		"spec.alow": "allow", "spec.Allow": "allow", "spec.denies": "deny", "spec.applies_to": "appliesTo", "spec.profiles": "profile",
		"spec.profileon": "profileOn", "spec.mesage": "message", "spec.a": "", "spec.quota": "", "spec.note": "",
	} {
		got, _ := UnknownField(path, known, nil).BadValue.(string)
		if got != want {
			t.Errorf("%s: suggests %q, want %q", path, got, want)
		}
	}
}

func TestAnUnknownFieldThatMayBeAnAddressIsNotNamed(t *testing.T) {
	for _, path := range []string{fixture.LocalPart + "@acme.com", "spec.allow." + fixture.LocalPart + "@acme.com"} {
		got := UnknownField(path, []string{"allow"}, nil)
		if mark := fixture.HoldsLocalPart(got.Error()); mark != "" {
			t.Errorf("%s holds the local part", got.Error())
		}
	}
}

// The violations that go away with a mistake are dropped; those that stay are kept.
func TestViolationsOfOneMistakeAreOne(t *testing.T) {
	spec := field.NewPath("spec")
	allow, deny := spec.Child("allow"), spec.Child("deny")
	unknown := func(path string) *field.Error { return UnknownField(path, []string{"domains", "lists"}, nil) }
	for sentence, test := range map[string]struct {
		violations field.ErrorList
		want       []string
	}{
		"a misspelt field, and the object is empty without it": {
			field.ErrorList{unknown("spec.allow.domain"), field.Invalid(allow, nil, "write domains or lists")}, []string{"spec.allow.domain"}},
		"a misspelt field, and another object is empty": {
			field.ErrorList{unknown("spec.allow.domain"), field.Invalid(deny, nil, "write domains or lists")}, []string{"spec.allow.domain", "spec.deny"}},
		"a wrong type, and what is below": {
			field.ErrorList{field.TypeInvalid(allow, "", ""), unknown("spec.allow.x"), field.Required(deny, "")}, []string{"spec.allow", "spec.deny"}},
		"a name that only begins alike": {
			field.ErrorList{field.TypeInvalid(spec.Child("profile"), "", ""), field.Required(spec.Child("profileOn"), "")},
			[]string{"spec.profile", "spec.profileOn"}},
		"two rules for one value": {
			field.ErrorList{field.Invalid(allow.Child("domains").Index(0), "", "one"), field.Invalid(allow.Child("domains").Index(0), "", "two")},
			[]string{"spec.allow.domains[0]"}},
		"two rules of the spec": {
			field.ErrorList{field.Invalid(spec, "", "one"), field.Invalid(spec, "", "two")}, []string{"spec", "spec"}},
		"a null, and the object is empty without it": {
			field.ErrorList{Null(allow.Child("domains")), field.Invalid(allow, nil, "should have at least 1 properties")},
			[]string{"spec.allow.domains"}},
		"none": {nil, nil},
	} {
		var got []string
		for _, violation := range Distinct(test.violations) {
			got = append(got, violation.Field)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
}

// An invalid policy must never look valid: something is left of each set of violations.
func FuzzDistinct(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Fuzz(func(t *testing.T, choices []byte) {
		paths := []*field.Path{
			field.NewPath("spec"), field.NewPath("spec", "allow"), field.NewPath("spec", "allow", "domains"),
			field.NewPath("spec", "allow", "domains").Index(0), field.NewPath("spec", "deny"), field.NewPath("allow"),
		}
		var violations field.ErrorList
		for _, choice := range choices[:min(len(choices), 20)] {
			path := paths[int(choice>>4)%len(paths)]
			violations = append(violations, []*field.Error{
				Null(path), field.Required(path, ""), field.TypeInvalid(path, "", ""), field.NotSupported(path, "", []string{"a"}),
				field.Duplicate(path, ""), field.TooMany(path, 2, 1), field.Invalid(path, "", "write domains"),
				UnknownField(path.String(), []string{"allow", "domains"}, nil), UnknownField(path.String(), nil, []string{"spec", "spec.allow"}),
			}[int(choice&15)%9])
		}
		if left := Distinct(violations); (len(left) == 0) != (len(violations) == 0) {
			t.Errorf("nothing is left of %v", violations)
		}
	})
}
