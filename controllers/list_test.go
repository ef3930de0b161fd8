package controllers

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	toolscache "k8s.io/client-go/tools/cache"

	"registrationpolicy.dev/operator/internal/listobjects"
)

// A tenant may write as much into the metadata of his objects as into their content.
func TestOfTheMetadataOfObjectsOnlyWhatIsReadIsCached(t *testing.T) {
	isStreamedList := func(request *http.Request) bool { return request.URL.Query().Get("sendInitialEvents") == "true" }
	for sentence, refuse := range map[string]func(*http.Request) bool{
		"with a streamed first list":                nil,
		"with a server that streams no first lists": isStreamedList,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			namespace := cluster.Namespace(t)
			put := func(version string) {
				policy := policyObject(t, namespace, "acme", `{allow: {domains: [acme.com], lists: [{configMap: {name: partners}}]}}`)
				list := &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"entries": "partner-" + version + ".test\n"},
				}}
				list.SetNamespace(namespace)
				list.SetName("partners")
				for _, object := range []*unstructured.Unstructured{policy, list} {
					object.SetAnnotations(map[string]string{"large": strings.Repeat(version, 1000)})
					object.SetLabels(map[string]string{listobjects.Label: listobjects.LabelTrue, "team": "a"})
					cluster.ApplyObject(t, object)
				}
			}
			put("a")
			_, config := onTheWire(cluster.Config, refuse)
			r := startReplica(t, config, namespace, "alone")
			eventuallyAnswers(t, within, r.store, localPart+"@partner-a.test", "ALLOW Allowed")
			check := func(when string) {
				for _, policy := range r.watches.Policies(namespace) {
					checkKept(t, when, policy.Object)
				}
				lists := make(chan any, 1)
				end, err := r.watches.OnLists(toolscache.ResourceEventHandlerFuncs{AddFunc: func(object any) { lists <- object }})
				if err != nil {
					t.Fatal(err)
				}
				for _, object := range []any{<-lists} {
					content, err := json.Marshal(object)
					if err != nil {
						t.Fatal(err)
					}
					var kept unstructured.Unstructured
					if err := json.Unmarshal(content, &kept.Object); err != nil {
						t.Fatal(err)
					}
					checkKept(t, when, kept.Object)
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			}
			check("at first")
			put("b")
			eventuallyAnswers(t, within, r.store, localPart+"@partner-b.test", "ALLOW Allowed")
			check("after a change")
		})
	}
}

func checkKept(t *testing.T, when string, object map[string]any) {
	t.Helper()
	metadata, _ := object["metadata"].(map[string]any)
	for name, value := range metadata {
		if !slices.Contains([]string{"namespace", "name", "uid", "resourceVersion", "generation"}, name) && value != nil {
			t.Errorf("%s: %s.%s is cached: %v", when, object["kind"], name, value)
		}
	}
	if metadata["uid"] == nil || metadata["resourceVersion"] == nil {
		t.Errorf("%s: the metadata is %v", when, metadata)
	}
}
