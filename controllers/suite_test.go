package controllers

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/test/fixture"
)

// What these tests share with those of other rooms.
const (
	localPart = fixture.LocalPart
	within    = fixture.Within
)

type transcript = fixture.Transcript

var (
	policyObject   = fixture.Policy
	holdsLocalPart = fixture.HoldsLocalPart

	signUp            = fixture.SignUp
	answer            = fixture.Answer
	answerTo          = fixture.AnswerTo
	wantAnswer        = fixture.WantAnswer
	eventually        = fixture.Eventually
	eventuallyAnswers = fixture.EventuallyAnswers

	metric = fixture.Metric
	builds = fixture.Builds
)

var (
	cluster *testCluster
	// said is all that the package, controller-runtime and client-go logged in all tests.
	said = &transcript{}
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// run runs the tests between the start and the end of the API servers.
func run(m *testing.M) (code int) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		fmt.Fprintln(os.Stderr, "KUBEBUILDER_ASSETS is not set: run make test, which provides kube-apiserver and etcd")
		return 1
	}
	ctrl.SetLogger(loggerTo(said))
	klog.SetLogger(loggerTo(said))
	var err error
	cluster, err = startCluster(&envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start an API server:", err)
		return 1
	}
	code = m.Run()
	for _, c := range []*testCluster{cluster, relaxed.cluster} {
		if c == nil {
			continue
		}
		if err := searchForLocalParts(c.kube, said.String()); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL: after all tests:", err)
			code = 1
		}
		if err := c.env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the API server:", err)
			code = 1
		}
	}
	return code
}

// testCluster is an API server of its own, with the CustomResourceDefinition of this repository.
type testCluster struct {
	env    *envtest.Environment
	config *rest.Config
	kube   client.Client
}

func startCluster(env *envtest.Environment) (*testCluster, error) {
	config, err := env.Start()
	if err != nil {
		return nil, err
	}
	config = policyobject.ClientConfig(config)
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	kube, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	return &testCluster{env: env, config: config, kube: kube}, nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, cmp.Or(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// newDirectClient returns a client without a cache, and without a call to find out what the API server serves.
func newDirectClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := client.New(config, client.Options{Scheme: scheme, Mapper: policyobject.Mapper()})
	if err != nil {
		t.Fatal(err)
	}
	return direct
}

// namespace makes a namespace for one test. It stays: its Events and conditions are searched for local parts at the end.
func (c *testCluster) namespace(t *testing.T) string {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.kube.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object.Name
}

// apply applies a policy whose spec is written in YAML, as kubectl would.
func (c *testCluster) apply(t *testing.T, namespace, name, spec string) {
	t.Helper()
	c.applyObject(t, policyObject(t, namespace, name, spec))
}

func (c *testCluster) applyObject(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	configuration := client.ApplyConfigurationFromUnstructured(object)
	if err := c.kube.Apply(t.Context(), configuration, client.FieldOwner("test"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
}

func (c *testCluster) remove(t *testing.T, namespace, name string) {
	t.Helper()
	object := policyobject.New()
	object.SetNamespace(namespace)
	object.SetName(name)
	if err := c.kube.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// stored returns a policy as the API server has it now.
func (c *testCluster) stored(t *testing.T, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	object := policyobject.New()
	if err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func newPolicyList() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyobject.Kind + "List"))
	return list
}

// loggerTo returns a logger; what it writes is in said too.
func loggerTo(w io.Writer) logr.Logger {
	if w == io.Writer(said) {
		return fixture.Logger(said)
	}
	return fixture.Logger(w, said)
}

// searchForLocalParts looks for localPart in a log and in all Events and conditions of an API server.
func searchForLocalParts(kube client.Client, log string) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for line := range strings.Lines(log) {
		if mark := holdsLocalPart(line); mark != "" {
			return fmt.Errorf("a log line holds the local part %q: %s", mark, line)
		}
	}
	var occurred eventsv1.EventList
	if err := kube.List(ctx, &occurred); err != nil {
		return fmt.Errorf("list events: %w", err)
	}
	for _, event := range occurred.Items {
		if mark := holdsLocalPart(event.Note); mark != "" {
			return fmt.Errorf("an Event holds the local part %q: %s", mark, event.Note)
		}
	}
	policies := newPolicyList()
	if err := kube.List(ctx, policies); err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	for _, policy := range policies.Items {
		if mark := holdsLocalPart(fmt.Sprint(policy.Object["status"])); mark != "" {
			return fmt.Errorf("the status of %s holds the local part %q", policy.GetName(), mark)
		}
	}
	return nil
}
