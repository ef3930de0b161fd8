package informers

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/test/apiserver"
	"registrationpolicy.dev/operator/test/fixture"
)

// start runs the informers of a namespace until the end of the test.
func start(t *testing.T, config *rest.Config, namespace string) *Set {
	t.Helper()
	tracker := freshness.New(prometheus.NewRegistry(), []string{namespace}, logr.Discard())
	set, err := New(config, apiserver.DirectClient(t, config), tracker, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- set.Start(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return set
}

// noStreams answers requests for a streamed first list with 400, as an API server before 1.32 does.
type noStreams struct{ next http.RoundTripper }

func (n noStreams) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Query().Get("sendInitialEvents") != "true" {
		return n.next.RoundTrip(request)
	}
	return &http.Response{
		StatusCode: http.StatusBadRequest, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: request,
	}, nil
}

// A tenant may write as much into the metadata of objects as into their content.
func TestOfTheMetadataOfObjectsOnlyWhatIsReadIsCached(t *testing.T) {
	without := rest.CopyConfig(cluster.Config)
	without.Wrap(func(next http.RoundTripper) http.RoundTripper { return noStreams{next} })
	for sentence, config := range map[string]*rest.Config{
		"with a streamed first list":                cluster.Config,
		"with a server that streams no first lists": without,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			namespace := cluster.Namespace(t)
			put := func(content string) {
				policy := fixture.Policy(t, namespace, "acme", "{allow: {domains: ["+content+".example]}}")
				list := &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"entries": content},
				}}
				list.SetNamespace(namespace)
				list.SetName("partners")
				for _, object := range []*unstructured.Unstructured{policy, list} {
					labels := listconfigmap.Labels()
					labels["team"] = "a"
					object.SetLabels(labels)
					object.SetAnnotations(map[string]string{"large": strings.Repeat(content, 1000)})
					cluster.ApplyObject(t, object)
				}
			}
			put("a")
			set := start(t, config, namespace)
			stored := func(when string) {
				name := types.NamespacedName{Namespace: namespace, Name: "acme"}
				want := cluster.Stored(t, namespace, "acme").GetResourceVersion()
				fixture.Eventually(t, fixture.Within, func() string {
					if got := set.Policy(name); got == nil || got.GetResourceVersion() != want {
						return "the policy has not come"
					}
					if len(set.namespaces[namespace].lists.GetStore().List()) != 1 {
						return "the list has not come"
					}
					return ""
				})
				checkKept(t, when, set.Policy(name))
				checkKept(t, when, set.namespaces[namespace].lists.GetStore().List()[0])
			}
			stored("at first")
			put("b")
			stored("after a change")
		})
	}
}

// checkKept fails if unused metadata of an object is cached.
func checkKept(t *testing.T, when string, object any) {
	t.Helper()
	content, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Metadata map[string]any `json:"metadata"`
	}
	if err := json.Unmarshal(content, &kept); err != nil {
		t.Fatal(err)
	}
	for name, value := range kept.Metadata {
		if !slices.Contains([]string{"namespace", "name", "uid", "resourceVersion", "generation"}, name) && value != nil {
			t.Errorf("%s: metadata.%s is cached: %v", when, name, value)
		}
	}
	if kept.Metadata["uid"] == nil || kept.Metadata["resourceVersion"] == nil {
		t.Errorf("%s: the metadata is %v", when, kept.Metadata)
	}
}

func TestACachedPolicyHasItsSpecAndItsStatus(t *testing.T) {
	policy := fixture.Policy(t, "default", "p", `{allow: {domains: [acme.com]}}`)
	policy.Object["status"] = map[string]any{"observedGeneration": int64(3)}
	cached := policy.DeepCopy()
	if err := Compact(cached); err != nil {
		t.Fatal(err)
	}
	if cached.Object["spec"] != nil || SpecSize(cached) != int64(len(`{"allow":{"domains":["acme.com"]}}`)) || SpecHash(cached) == "" {
		t.Errorf("cached: %v", cached.Object)
	}
	if status, found := StatusJSON(cached); !found || status != `{"observedGeneration":3}` {
		t.Errorf("status %q, %t", status, found)
	}
	read, err := WithSpec(cached)
	if err != nil {
		t.Fatal(err)
	}
	if domains, _, _ := unstructured.NestedStringSlice(read.Object, "spec", "allow", "domains"); !slices.Equal(domains, []string{"acme.com"}) {
		t.Errorf("the spec reads %v", read.Object["spec"])
	}
}

// The spec of a policy beyond the budget of its namespace is not cached, and is read when it is needed.
func TestAPolicyIsReadInTheVersionThatTheWatchHasBrought(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	set := start(t, cluster.Config, namespace)
	cluster.Apply(t, namespace, "p", `{allow: {domains: [acme.com]}}`)
	uncached := cluster.Stored(t, namespace, "p")
	if err := Compact(uncached); err != nil {
		t.Fatal(err)
	}
	delete(uncached.Object, cachedSpec)
	if read, err := set.ReadPolicy(t.Context(), uncached); err != nil || read.Object["spec"] == nil {
		t.Errorf("as the watch has it: %v, %v", read, err)
	}
	cluster.Apply(t, namespace, "p", `{allow: {domains: [acme.org]}}`)
	if _, err := set.ReadPolicy(t.Context(), uncached); !errors.Is(err, publish.ErrChanged) {
		t.Errorf("changed: %v, want ErrChanged", err)
	}
	cluster.Remove(t, namespace, "p")
	if _, err := set.ReadPolicy(t.Context(), uncached); !errors.Is(err, publish.ErrChanged) {
		t.Errorf("deleted: %v, want ErrChanged", err)
	}
}

// A list that was deleted and made again is read in the version that the watch has brought, or not at all: the watch brings its absence
// next, and what had been in force of it would be gone again.
func TestAListIsNotReadAheadOfItsWatch(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	set := start(t, cluster.Config, namespace)
	name := types.NamespacedName{Namespace: namespace, Name: "bad"}
	stored := func(entries string) publish.Version {
		t.Helper()
		cluster.Keep(t, apiserver.List(namespace, name.Name, map[string]string{"entries": entries}))
		object, err := set.read(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return publish.Version{UID: object.UID, ResourceVersion: object.ResourceVersion}
	}
	check := func(when string, watched publish.Version, current, there bool) {
		t.Helper()
		object, err := set.Get(t.Context(), name, watched)
		if current && (err != nil || object == nil) || !current && !errors.Is(err, publish.ErrChanged) {
			t.Errorf("%s: %v, %v, want ErrChanged: %t", when, object, err, !current)
		}
		if object, err = (Uncached{set}).Get(t.Context(), name, watched); err != nil || (object != nil) != there {
			t.Errorf("%s, whatever the watch has brought: %v, %v", when, object, err)
		}
	}
	first := stored("old.example\n")
	check("as the watch has it", first, true, true)
	changed := stored("new.example\n")
	check("it was changed", first, false, true)
	cluster.Drop(t, namespace, name.Name)
	check("the watch has yet to say it is gone", changed, false, false)
	remade := stored("newer.example\n")
	check("it was made again", changed, false, true)
	check("once the watch has brought it", remade, true, true)
}
