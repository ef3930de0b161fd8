package controllers

import (
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
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/test/apiserver"
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
	cluster *apiserver.Cluster
	// said is all that the package, controller-runtime and client-go logged in all tests.
	said = &transcript{}
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// run runs the tests between the start and the end of the API servers.
func run(m *testing.M) (code int) {
	ctrl.SetLogger(loggerTo(said))
	klog.SetLogger(loggerTo(said))
	var err error
	cluster, err = apiserver.Start(&envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start an API server:", err)
		return 1
	}
	code = m.Run()
	for _, c := range []*apiserver.Cluster{cluster, relaxed.cluster} {
		if c == nil {
			continue
		}
		if err := searchForLocalParts(c.Kube, said.String()); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL: after all tests:", err)
			code = 1
		}
		if err := c.Env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the API server:", err)
			code = 1
		}
	}
	return code
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

func newPolicyList() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyobject.Kind + "List"))
	return list
}
