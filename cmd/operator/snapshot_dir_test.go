package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
)

func TestADirectoryForSnapshotsThatCannotBeMeantIsRefusedInOneLine(t *testing.T) {
	kubeconfig := write(t, t.TempDir(), "kubeconfig", `{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}], contexts: [{name: c, context: {cluster: c}}]}`)
	inCluster := append(slices.Clone(ofACluster), "--kubeconfig", kubeconfig)
	file := write(t, t.TempDir(), "file", "")
	for sentence, c := range map[string]struct {
		flags []string
		want  string
	}{
		"beside a directory of policies": {
			[]string{"--policy-dir", t.TempDir(), "--insecure-no-authentication", "--snapshot-dir", t.TempDir()}, "leave it out"},
		"one that is not there":    {slices.Concat(inCluster, []string{"--snapshot-dir", filepath.Join(t.TempDir(), "none")}), "no such file"},
		"one that is no directory": {slices.Concat(inCluster, []string{"--snapshot-dir", file}), "not a directory"},
	} {
		t.Run(sentence, func(t *testing.T) {
			o, err := parseOptions(append(slices.Clone(onFreePorts), c.flags...), nil)
			if err == nil {
				_, err = newOperator(o, logr.Discard(), nil)
			}
			if err == nil || !strings.HasPrefix(err.Error(), "--snapshot-dir: ") || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line of --snapshot-dir with %q", err, c.want)
			}
		})
	}
}

func TestAStoredSnapshotIsBoundToTheFlagsThatChangeDecisions(t *testing.T) {
	deciding := func(flags ...string) []string {
		o, err := parseOptions(append(slices.Clone(ofACluster), flags...), nil)
		if err != nil {
			t.Fatal(err)
		}
		return o.decisionFlags()
	}
	before := deciding()
	for _, flag := range []string{"--observe", "--address-attributes=email", "--namespace-sources=team-a=rul1"} {
		if slices.Equal(before, deciding(flag)) {
			t.Errorf("%s makes no difference", flag)
		}
	}
	one, other := deciding("--namespace-sources=team-a=r2,r1", "--namespace-sources=team-b=r3", "--log-level=debug"),
		deciding("--namespace-sources=team-b=r3", "--namespace-sources=team-a=r1,r2")
	if diff := cmp.Diff(one, other); diff != "" {
		t.Errorf("what says the same makes a difference:\n%s", diff)
	}
}
