package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/rules"
)

// keepList stores a list in ConfigMaps: its shards, then its index.
func (c *cluster) keepList(t *testing.T, name, text string) {
	t.Helper()
	objects, err := listconfigmap.Write(name, namespace, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if err := c.client.Create(t.Context(), object); errors.IsAlreadyExists(err) {
			object.ResourceVersion = ""
			err = c.client.Update(t.Context(), object)
			if err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A list of the size of public ones comes into force and changes, and so does a small policy, during as many concurrent
// calls as an Okta org makes. No answer is late, and each is by the old or the new version.
func TestABigListChangesWithoutALateAnswer(t *testing.T) {
	const (
		entries, changes = 200_000, 3
		callers          = 75                    // the maximum of concurrent calls of an Okta org
		pause            = 50 * time.Millisecond // leaves CPU time to the operator
	)
	var filler strings.Builder
	for i := range entries {
		fmt.Fprintf(&filler, "filler%d.example\n", i)
	}
	c := startCluster(t)
	op := startReady(t, c.inCluster(t)...)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	c.apply(t, "everyone", `{allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}, optional: true}]}}`)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	before := op.resident(t)
	op.forgetPeak(t)
	guests := newGuests(t, op, nil)
	for range callers - 2 {
		guests.join(t, op.hookURL, true, nil, pause)
	}
	begin := time.Now()
	for i := range changes {
		c.keepList(t, "bad", filler.String()+fmt.Sprintf("listed%d.example\n", i))
		op.awaitReasonFrom(t, "reg1", fmt.Sprintf("jo@listed%d.example", i), rules.ReasonDenied)
		c.apply(t, "small", fmt.Sprintf(`{deny: {domains: [small%d.example]}}`, i))
		op.awaitReasonFrom(t, "reg1", fmt.Sprintf("jo@small%d.example", i), rules.ReasonDenied)
	}
	if got := op.reasonFrom(t, "reg1", "jo@listed0.example"); got != rules.ReasonAllowed {
		t.Errorf("an entry that the list no longer has: %s", got)
	}
	t.Logf("%d changes of a list of %d entries, %d KiB, within %s; %s; %d MiB resident, %d at most, %d before", changes, entries,
		filler.Len()>>10, time.Since(begin).Round(time.Millisecond), guests.end(t), op.resident(t)>>10, op.peak(t)>>10, before>>10)
	if got := op.metric(t, "registration_policy_list_compilations_total"); got != fmt.Sprint(changes) {
		t.Errorf("%s lists compiled for %d versions of one", got, changes)
	}
}
