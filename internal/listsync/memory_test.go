//go:build unix

package listsync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// limited writes into the status of a policy how much memory its namespace may take, as the operator does.
func (p *place) limited(t *testing.T, name string, limit int64, written time.Time) {
	t.Helper()
	p.status(t, name, map[string]any{
		"namespaceMemoryLimitBytes": limit,
		"replicas": map[string]any{
			"summary": "1/1", "serving": int64(1), "inForce": int64(1), "observedTime": written.UTC().Format(time.RFC3339),
		},
	})
}

func (p *place) status(t *testing.T, name string, status map[string]any) {
	t.Helper()
	policy := &unstructured.Unstructured{}
	policy.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyobject.Kind))
	if err := p.Kube.Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: name}, policy); err != nil {
		t.Fatal(err)
	}
	policy.Object["status"] = status
	if err := p.Kube.Status().Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
}

// lines returns a list with so many entries.
func lines(mark string, count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "%s-%06d.example\n", mark, i)
	}
	return text.String()
}

func TestAListThatTheOperatorWouldRefuseIsRefused(t *testing.T) {
	p := newPlace(t)
	p.policy(t, "policy", "{deny: {lists: [{name: a, configMap: {name: disposable}}, {name: b, configMap: {name: another}}]}}")
	other := p.request(lines("another", 2000))
	other.Name = "another"
	p.sync(t, other, Done)
	text := lines("one", 3000)
	memory := p.sync(t, p.request(text), Done).Memory
	if memory.LimitBytes != 0 || memory.ListBytes == 0 {
		t.Errorf("without a limit: %+v", memory)
	}
	p.limited(t, "policy", 8<<20, time.Now())
	memory = p.sync(t, p.request(text), Unchanged).Memory
	limit := memory.OtherBytes + memory.ListBytes
	p.limited(t, "policy", limit, time.Now())

	grown := p.request(text + "one-more.example\n")
	report := p.sync(t, grown, Refused)
	if len(report.Refusals) != 1 || report.Refusals[0].Kind != listguard.OverBudget || report.Accept != report.Digest {
		t.Fatalf("%+v", report)
	}
	p.wantEvent(t, "Warning ListRefused disposable: To write it after a look: --accept ", "--namespace-limits")
	grown.Accept = report.Digest
	p.sync(t, grown, Done)

	// What is in force already is no news, and a roll-back is not held up.
	again, err := p.Sync(t.Context(), p.request(string(grown.Text)))
	if err != nil || again.Outcome != Unchanged || len(again.Warnings) != 1 || !strings.Contains(again.Warnings[0], "would refuse the list") {
		t.Errorf("%+v, %v", again, err)
	}
}
