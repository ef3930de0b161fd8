package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/version"
)

// ofACluster are the flags without which an operator does not start.
var ofACluster = []string{"--namespace", "own", "--watch-namespaces", "own,team-a,team-b", "--insecure-no-authentication"}

func TestTheBoundsOfNamespacesAreTakenFromFlagsOrEnvironment(t *testing.T) {
	const inEnvironment = "REGISTRATION_POLICY_NAMESPACE_SOURCES="
	both := policyobject.Scopes{"team-a": {"r1", "r2"}, "team-b": {"r3"}}
	for sentence, c := range map[string]struct {
		flags, environ []string
		want           policyobject.Scopes
	}{
		"none":                   {nil, nil, policyobject.Scopes{}},
		"two flags":              {[]string{"--namespace-sources", "team-a=r1,r2", "--namespace-sources=team-b=r3"}, nil, both},
		"two in the environment": {nil, []string{inEnvironment + "team-a=r1,r2;team-b=r3"}, both},
		"the flag, where both are": {
			[]string{"--namespace-sources", "team-a=r1"}, []string{inEnvironment + "team-b=r3"}, policyobject.Scopes{"team-a": {"r1"}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			o, err := parseOptions(append(c.flags, ofACluster...), c.environ)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, o.scopes); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABoundThatCannotBeMeantIsRefusedInOneLineThatNamesTheFlag(t *testing.T) {
	for sentence, c := range map[string]struct {
		entries []string
		want    string
	}{
		"a namespace that is not watched": {[]string{"taem-a=r1"}, `"taem-a" is not watched`},
		"an empty list":                   {[]string{"team-a="}, "no source"},
		"no name of a namespace":          {[]string{"Team=r1"}, "not the name of a namespace"},
		"not the id of a source":          {[]string{"team-a=r-1"}, `"r-1" is not the id`},
		"a namespace given twice":         {[]string{"team-a=r1", "team-a=r2"}, "given twice"},
	} {
		t.Run(sentence, func(t *testing.T) {
			flags := ofACluster
			for _, entry := range c.entries {
				flags = append(slices.Clip(flags), "--namespace-sources", entry)
			}
			_, err := parseOptions(flags, nil)
			if err == nil || !strings.HasPrefix(err.Error(), "--namespace-sources: ") || strings.Contains(err.Error(), "\n") ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one line of --namespace-sources with %q", err, c.want)
			}
		})
	}
}

func TestEachWrongFlagHasALineSortedByFlag(t *testing.T) {
	_, err := parseOptions([]string{"--log-level", "loud", "--drain-delay", "-1s", "--log-format", "xml"}, nil)
	var flags []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		flag, _, _ := strings.Cut(line, ":")
		flags = append(flags, flag)
	}
	want := []string{"--drain-delay", "--hook-auth-dir", "--log-format", "--log-level", "--namespace"}
	if diff := cmp.Diff(want, flags); diff != "" {
		t.Errorf("flags (-want +got):\n%s\n%v", diff, err)
	}
}

func TestTheVersionIsPrintedWhateverElseIsSaid(t *testing.T) {
	o, err := parseOptions([]string{"--version"}, []string{"REGISTRATION_POLICY_OBSERVE=perhaps"})
	if err != nil || !o.version {
		t.Errorf("--version alone: %v", err)
	}
	o, err = parseOptions(ofACluster, []string{"REGISTRATION_POLICY_VERSION=1.2.3"})
	if err != nil || o.version {
		t.Errorf("a variable that says which version is deployed: %v, version asked for: %t", err, o.version)
	}
	if version.String() == "" {
		t.Error("no version")
	}
}
