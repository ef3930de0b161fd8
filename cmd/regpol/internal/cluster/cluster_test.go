package cluster

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestWithoutAKubeconfigTheErrorIsTheCallers(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	want := errors.New("no cluster")
	if _, _, err := (Options{}).Load(want); !errors.Is(err, want) {
		t.Errorf("nothing selects a cluster: %v", err)
	}
	if _, _, err := (Options{Kubeconfig: filepath.Join(t.TempDir(), "away")}).Load(want); err == nil || errors.Is(err, want) {
		t.Errorf("a file that does not exist: %v", err)
	}
}

func TestAnErrorOfTheAPIServerHasItsFix(t *testing.T) {
	resource := schema.GroupResource{Resource: "configmaps"}
	for sentence, test := range map[string]struct {
		err      error
		resource string
		want     string
	}{
		"no definition":      {apierrors.NewNotFound(resource, ""), "registrationpolicies.x", "install the CustomResourceDefinition"},
		"no right to lists":  {apierrors.NewForbidden(resource, "", nil), "configmaps", "ask for the right to list configmaps"},
		"no right to others": {apierrors.NewForbidden(resource, "", nil), "pods", "you may not list pods in namespace n: ask for"},
		"no credentials":     {apierrors.NewUnauthorized(""), "pods", "rejects your credentials: log in again"},
		"another refusal":    {apierrors.NewTooManyRequests("later", 1), "pods", "https://api.example does not list the pods of namespace n: later"},
		"no answer":          {errors.New("refused"), "pods", "https://api.example cannot be reached: refused"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := ListError(test.err, test.resource, "n", "https://api.example").Error(); !strings.Contains(got, test.want) {
				t.Errorf("%s\nlacks %s", got, test.want)
			}
		})
	}
}
