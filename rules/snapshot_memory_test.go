package rules

import (
	"runtime"
	"testing"
	"weak"
)

// A snapshot shares what did not change with the one before, and must not hold what did: a list may take tens of megabytes.
func TestASnapshotDoesNotHoldWhatAnEarlierOneHad(t *testing.T) {
	denying := func(text string) *Compiled {
		list := CompileList([]byte(text))
		return CompilePolicy(Policy{PolicyName: PolicyName{"a", "p"}, Deny: DenyRules{Lists: []ListUse{{Name: "bad", List: list}}}})
	}
	other := CompilePolicy(Policy{PolicyName: PolicyName{"a", "q"}, Allow: AllowRules{Domains: []string{"acme.com"}}})
	first := func() (*Snapshot, weak.Pointer[List]) {
		old := denying("x.example\n")
		return Assemble(nil, []*Compiled{old, other}), weak.Make(old.lists[0].list)
	}
	before, held := first()
	snapshot := Assemble(before, []*Compiled{denying("y.example\n"), other})
	if runtime.GC(); held.Value() != nil {
		t.Error("the list that was replaced is still in memory")
	}
	runtime.KeepAlive(snapshot)
}
