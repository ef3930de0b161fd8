package install

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	helmoptions "helm.sh/helm/v4/pkg/chart/common"
	helmvalues "helm.sh/helm/v4/pkg/chart/common/util"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// chartDir is the chart's folder.
const chartDir = repository + "/charts/registration-policy-operator"

var loadedChart = sync.OnceValues(func() (*helmchart.Chart, error) { return loader.LoadDir(filepath.FromSlash(chartDir)) })

func loadChart(t *testing.T) *helmchart.Chart {
	t.Helper()
	c, err := loadedChart()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// settings are values of the chart by their dotted paths, as in --set.
type settings map[string]any

// values returns the settings as nested maps.
func (s settings) values() map[string]any {
	values := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		steps := strings.Split(name, ".")
		at := values
		for _, step := range steps[:len(steps)-1] {
			next, ok := at[step].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[step] = next
			}
			at = next
		}
		at[steps[len(steps)-1]] = s[name]
	}
	return values
}

// needed are the settings without which the chart does not render.
func needed() settings { return settings{"auth.existingSecret": "registration-hook-auth"} }

// with returns the settings, overridden by others.
func (s settings) with(others settings) settings {
	all := maps.Clone(s)
	maps.Copy(all, others)
	return all
}

// renderChart renders the chart as Helm does, and returns the text of each template by its file name.
func renderChart(c *helmchart.Chart, release, namespace string, s settings) (map[string]string, error) {
	return renderValues(c, release, namespace, s, false)
}

func renderValues(c *helmchart.Chart, release, namespace string, s settings, skipSchema bool) (map[string]string, error) {
	values, err := helmvalues.ToRenderValuesWithSchemaValidation(c, s.values(),
		helmoptions.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}, nil, skipSchema)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Engine{}.Render(c, values)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for name, text := range rendered {
		name = strings.TrimPrefix(name, c.Name()+"/templates/")
		if path.Ext(name) != ".tpl" {
			texts[name] = text
		}
	}
	return texts, nil
}

// mustRender returns the objects of the chart with some settings. Those of helm test come last.
func mustRender(t *testing.T, release, namespace string, s settings) []*unstructured.Unstructured {
	t.Helper()
	texts, err := renderChart(loadChart(t), release, namespace, s)
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		found, err := parseObjects(texts[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		objects = append(objects, found...)
	}
	return objects
}

// parseObjects returns the objects in YAML documents. It skips empty documents.
func parseObjects(text string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		object := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, document)
		}
		if len(object) > 0 {
			objects = append(objects, &unstructured.Unstructured{Object: object})
		}
	}
	return objects, nil
}

// find returns the one object of a kind and name.
func find(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("no %s %q", kind, name)
	return nil
}
