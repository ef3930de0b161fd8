//go:build unix

package listsync

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/test/apiserver"
)

var cluster *apiserver.Cluster

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m, &cluster)) }

// place is a namespace, and a Syncer for it whose time can be set.
type place struct {
	*Syncer
	namespace string
	later     time.Duration
}

func newPlace(t *testing.T) *place {
	t.Helper()
	kube, err := NewClient(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{namespace: cluster.Namespace(t)}
	p.Syncer = &Syncer{Kube: kube, Now: func() time.Time { return time.Now().Add(p.later) }}
	return p
}

// request is one with the defaults of the command line.
func (p *place) request(text string) Request {
	return Request{
		Namespace: p.namespace, Name: "disposable", Source: "list.txt", Text: []byte(text), Use: listguard.Deny,
		MaxChange: 20, MaxEntries: 1_000_000, Keep: time.Hour,
	}
}

// sync wants an outcome.
func (p *place) sync(t *testing.T, request Request, want Outcome) *Report {
	t.Helper()
	report, err := p.Sync(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if report.Outcome != want {
		t.Fatalf("%s, want %s: %+v", report.Outcome, want, report.Refusals)
	}
	if len(report.Warnings) > 0 {
		t.Errorf("warnings: %q", report.Warnings)
	}
	return report
}

// policy applies the spec of a policy.
func (p *place) policy(t *testing.T, name, spec string) {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{}}
	if err := yaml.Unmarshal([]byte("spec: "+spec), &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyobject.Kind))
	object.SetNamespace(p.namespace)
	object.SetName(name)
	if err := p.Kube.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// holds returns what the list holds, as the operator would read it.
func (p *place) holds(t *testing.T) string {
	t.Helper()
	text, missing, found := newConfigMaps(p.Kube, p.namespace).text(t.Context(), "disposable")
	if !found {
		return "missing: " + missing
	}
	return string(text)
}

// versions returns the resource version of every ConfigMap of the namespace, by name.
func (p *place) versions(t *testing.T) map[string]string {
	t.Helper()
	var all corev1.ConfigMapList
	if err := p.Kube.List(t.Context(), &all, client.InNamespace(p.namespace)); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, object := range all.Items {
		if object.Name != "kube-root-ca.crt" {
			versions[object.Name] = object.ResourceVersion
		}
	}
	return versions
}

// events returns reason and note of the namespace's Events.
func (p *place) events(t *testing.T) []string {
	t.Helper()
	var all eventsv1.EventList
	if err := p.Kube.List(t.Context(), &all, client.InNamespace(p.namespace)); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, event := range all.Items {
		told = append(told, event.Type+" "+event.Reason+" "+event.Regarding.Name+": "+event.Note)
	}
	return told
}

// wantEvent looks for an Event that holds all of the words.
func (p *place) wantEvent(t *testing.T, words ...string) {
	t.Helper()
	told := p.events(t)
	for _, event := range told {
		all := true
		for _, word := range words {
			all = all && strings.Contains(event, word)
		}
		if all {
			return
		}
	}
	t.Errorf("no Event with %q among %q", words, told)
}

// large returns a list too large for one ConfigMap, with a mark in its first line.
func large(mark string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "first.%s.example\n", mark)
	for i := range 100_000 {
		fmt.Fprintf(&text, "a-throwaway-domain-of-usual-length-%d.example\n", i)
	}
	return text.String()
}

// failing is a client that fails at the first write that a test picks.
type failing struct {
	client.Client
	at  func(verb string, object client.Object) bool
	err error
}

func (f *failing) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if f.at("create", object) {
		return f.err
	}
	return f.Client.Create(ctx, object, options...)
}

func (f *failing) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	if f.at("update", object) {
		return f.err
	}
	return f.Client.Update(ctx, object, options...)
}
