package policyfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// digestOf compiles what was read offline.
func digestOf(t *testing.T, read []ReadPolicy) string {
	t.Helper()
	policies := make([]rules.Policy, len(read))
	for i := range read {
		policies[i] = read[i].Policy
	}
	snapshot, _ := rules.Compile(policies)
	return snapshot.Digest()
}

func TestWhatIsReadOfflineIsWhatTheOperatorReads(t *testing.T) {
	samples := filepath.Join("..", "..", "config", "samples")
	offline, err := NewOffline()
	if err != nil {
		t.Fatal(err)
	}
	read, err := offline.ReadFiles(t.Context(), []string{samples}, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	store := &rules.Store{}
	directory, err := OpenDirectory(samples, store, nil, publish.NewMetrics(prometheus.NewRegistry()), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	snapshot, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := digestOf(t, read); got != snapshot.Digest() {
		t.Errorf("digest %s, the operator's %s", got, snapshot.Digest())
	}
	if got, want := read[0].Place("spec.deny"), filepath.Join(samples, "audit-first.yaml")+":9"; got != want {
		t.Errorf("place %s, want %s", got, want)
	}
}

func TestObjectsReadOfflineAreConvertedAsStoredOnes(t *testing.T) {
	offline, err := NewOffline()
	if err != nil {
		t.Fatal(err)
	}
	object := func(spec map[string]any) unstructured.Unstructured {
		return unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": "okta", "name": "p"}, "spec": spec,
		}}
	}
	for sentence, test := range map[string]struct {
		spec map[string]any
		want rules.Policy
	}{
		"a policy": {
			map[string]any{"allow": map[string]any{"domains": []any{"acme.com"}}},
			rules.Policy{Mode: rules.Enforce, Allow: rules.AllowRules{Domains: []string{"acme.com"}}},
		},
		"one from a newer version is not understood": {
			map[string]any{"quota": int64(3), "allow": map[string]any{"domains": []any{"acme.com"}}},
			rules.Policy{NotUnderstood: "spec.quota: unknown field; the fields here are allow, appliesTo, deny, message, mode, profile, profileOn"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			read, err := offline.ReadObjects(t.Context(), []unstructured.Unstructured{object(test.spec)},
				func(context.Context) ([]corev1.ConfigMap, error) { return nil, errors.New("no policy names a list") })
			if err != nil {
				t.Fatal(err)
			}
			test.want.PolicyName = rules.PolicyName{Namespace: "okta", Name: "p"}
			if diff := cmp.Diff(test.want, read[0].Policy); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
			if place := read[0].Place("spec"); place != "" {
				t.Errorf("place %q", place)
			}
		})
	}
}

func TestTextsAreReadAsTheFilesOfADirectory(t *testing.T) {
	samples := filepath.Join("..", "..", "config", "samples")
	entries, err := os.ReadDir(samples)
	if err != nil {
		t.Fatal(err)
	}
	var texts []Text
	for _, entry := range entries {
		if entry.IsDir() || !IsPolicyFile(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(samples, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, Text{"main:" + entry.Name(), text})
	}
	offline, err := NewOffline()
	if err != nil {
		t.Fatal(err)
	}
	fromDirectory, err := offline.ReadFiles(t.Context(), []string{samples}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fromTexts, err := offline.ReadTexts(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := digestOf(t, fromTexts), digestOf(t, fromDirectory); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if got, want := fromTexts[0].Place("spec.deny"), "main:audit-first.yaml:9"; got != want {
		t.Errorf("place %s, want %s", got, want)
	}
}

func TestWhichFilesOfADirectoryAreRead(t *testing.T) {
	for name, want := range map[string]bool{
		"a.yaml": true, "a.yml": true, "a.json": true, ".a.yaml": false, "a.regpol-test.yaml": false, "README.md": false, "yaml": false,
	} {
		if IsPolicyFile(name) != want {
			t.Errorf("%s is read: %t", name, !want)
		}
	}
}

func TestDirectoriesAreThoseBelow(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"policies/b/c", "policies/a", "policies/.git/objects", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(name)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "policies"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "policies"), filepath.Join(dir, "link")} {
		got, err := Directories(path)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{path, filepath.Join(path, "a"), filepath.Join(path, "b"), filepath.Join(path, "b", "c")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("directories (-want +got):\n%s", diff)
		}
	}
	for _, path := range []string{"-", "nowhere", "offline_test.go"} {
		if got, err := Directories(path); err != nil || len(got) != 1 || got[0] != path {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
}
