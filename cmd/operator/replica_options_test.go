package main

import (
	"strings"
	"testing"
)

func TestFlagsOfAReplicaThatCannotBeMeantAreRefusedByName(t *testing.T) {
	for sentence, c := range map[string]struct {
		flags []string
		want  string
	}{
		"a fence that one late report closes":      {[]string{"--fence-after", "29s"}, "--fence-after: 29s is less than 30s"},
		"a staleness that a quiet server has":      {[]string{"--max-staleness", "119s"}, "--max-staleness: 1m59s is less than 2m0s"},
		"a negative fence":                         {[]string{"--fence-after", "-1s"}, "--fence-after: -1s is less than 30s"},
		"a name that no object has":                {[]string{"--replica-name", "Replica One"}, `--replica-name: "Replica One"`},
		"a name too long for that of a lease":      {[]string{"--replica-name", strings.Repeat("a", 181)}, "--replica-name: "},
		"a lease whose name is no label's value":   {[]string{"--lease-name", strings.Repeat("a", 70)}, "--lease-name: "},
		"a lease whose name no object has":         {[]string{"--lease-name", "My_Lease"}, `--lease-name: "My_Lease"`},
		"a lease without a name":                   {[]string{"--lease-name", ""}, `--lease-name: ""`},
		"a Service whose name is no label's value": {[]string{"--service-name", strings.Repeat("a", 70)}, "--service-name: "},
		"a Service whose name no object has":       {[]string{"--service-name", "My Hook"}, `--service-name: "My Hook"`},
		"a fence of an operator without a cluster": {[]string{"--policy-dir", ".", "--fence-after", "1m"}, "--fence-after: has no effect with --policy-dir"},
		"a staleness without a cluster":            {[]string{"--policy-dir", ".", "--max-staleness", "5m"}, "--max-staleness: has no effect with --policy-dir"},
	} {
		t.Run(sentence, func(t *testing.T) {
			flags := append([]string{"--insecure-no-authentication"}, c.flags...)
			if c.flags[0] != "--policy-dir" {
				flags = append(flags, "--namespace", "own")
			}
			if _, err := parseOptions(flags, nil); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
		})
	}
	o, err := parseOptions(append([]string{"--fence-after", "30s", "--max-staleness", "2m"}, ofACluster...), nil)
	if err != nil || o.replicaName == "" {
		t.Errorf("the least that may be: %v, named %q", err, o.replicaName)
	}
}
