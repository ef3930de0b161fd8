package api

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestGoodObjectsAreAdmitted(t *testing.T) {
	for _, file := range files(t, "testdata/good/*.yaml") {
		t.Run(name(file), func(t *testing.T) {
			if err := create(t, kube, readObject(t, file)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each file in bad begins with comments that say which text the error must contain (want), and which field it must name
// (at).
func TestBadObjectsAreRefused(t *testing.T) {
	var said strings.Builder
	for _, file := range files(t, "testdata/bad/*.yaml") {
		t.Run(name(file), func(t *testing.T) {
			want, at := comment(t, file, "want"), comment(t, file, "at")
			if want == "" {
				t.Fatal("the file does not say what the error should be: # want: …")
			}
			err := create(t, kube, readObject(t, file))
			if err == nil {
				t.Fatalf("admitted; want an error with %q", want)
			}
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
				t.Fatalf("not an error about the object: %v", err)
			}
			said.WriteString(err.Error())
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error is\n%v\nwant in it\n%s", err, want)
			}
			if at != "" && !strings.Contains(err.Error(), at+": ") {
				t.Errorf("the error is\n%v\nwant it to be about %s", err, at)
			}
		})
	}
	for _, message := range ruleMessages(&definition) {
		if !strings.Contains(said.String(), message) {
			t.Errorf("no bad object meets the rule %q", message)
		}
	}
}

func TestEverySampleIsAdmitted(t *testing.T) {
	samples := append(files(t, root+"/config/samples/*.yaml"), files(t, root+"/config/samples/quickstart/*.yaml")...)
	for _, file := range samples {
		t.Run(name(file), func(t *testing.T) {
			if err := create(t, kube, readObject(t, file)); err != nil {
				t.Error(err)
			}
		})
	}
}

// ruleMessages returns the messages of all CEL rules of the definition.
func ruleMessages(definition *apiextensionsv1.CustomResourceDefinition) []string {
	var messages []string
	var visit func(schema *apiextensionsv1.JSONSchemaProps)
	visit = func(schema *apiextensionsv1.JSONSchemaProps) {
		for _, rule := range schema.XValidations {
			messages = append(messages, rule.Message)
		}
		for _, property := range schema.Properties {
			visit(&property)
		}
		if schema.Items != nil && schema.Items.Schema != nil {
			visit(schema.Items.Schema)
		}
	}
	for _, version := range definition.Spec.Versions {
		visit(version.Schema.OpenAPIV3Schema)
	}
	return messages
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s (%v)", pattern, err)
	}
	return files
}

func name(file string) string { return strings.TrimSuffix(filepath.Base(file), ".yaml") }

// comment returns the text after "# key: " in a file, or "" if there is none.
func comment(t *testing.T, file, key string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "# "+key+": "); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}
