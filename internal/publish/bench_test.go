package publish

import (
	"fmt"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// BenchmarkPublishOneChange is a change of one policy of 10 domains beside 10,000 others: compile it, and publish all.
func BenchmarkPublishOneChange(b *testing.B) {
	const others = 10_000
	written := func(i, domain int) rules.Policy {
		p := rules.Policy{PolicyName: rules.PolicyName{Namespace: "ns", Name: fmt.Sprintf("p%05d", i)}}
		for j := range 10 {
			p.Allow.Domains = append(p.Allow.Domains, fmt.Sprintf("d%d-%d.test", i, j+domain))
		}
		return p
	}
	f := newFixture(nil, "ns")
	policies := make([]*Policy, others+1)
	for i := range policies {
		policies[i] = f.Compile(written(i, 0))
	}
	f.Publish("ns", Build{Policies: policies})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := i * 7919 % len(policies)
		policies[at] = f.Compile(written(at, i))
		f.Publish("ns", Build{Policies: policies, Synced: fmt.Sprint(i)})
	}
}

// BenchmarkRefreshNothing is a build of 10,000 policies, of which every tenth names a list, and nothing has changed.
func BenchmarkRefreshNothing(b *testing.B) {
	lists, from := NewLists(nil), configMaps{"bad": listOf("1", "x.example")}
	policies := make([]*rules.Policy, 10_000)
	for i := range policies {
		p := rules.Policy{PolicyName: rules.PolicyName{Namespace: "ns", Name: fmt.Sprintf("p%05d", i)}}
		if i%10 == 0 {
			p = denying("ns", "bad")
		}
		policies[i] = &p
	}
	var err error
	b.ReportAllocs()
	for b.Loop() {
		if policies, err = lists.Refresh(b.Context(), "ns", from, nil, policies); err != nil {
			b.Fatal(err)
		}
	}
}
