package policies

import (
	"slices"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/history"
)

// Kinds are the registrations from which the run picks at random. kindCalls are the same registrations, decoded for
// [rules.Snapshot.Decide]. Both have the same indexes.
var Kinds, kindCalls = makeKinds()

func makeKinds() (made []oktasim.Registration, calls []rules.Call) {
	for _, source := range sources() {
		for _, domain := range append([]string{"elsewhere.example"}, domains...) {
			for _, person := range people {
				address := person + "@" + domain
				made = append(made,
					oktasim.Registration{Source: source, Email: address},
					oktasim.Registration{Source: source, Shape: oktasim.ClassicSignUp, Email: address, Login: person},
					oktasim.Registration{
						Source: source, Shape: oktasim.ProgressiveProfile, Login: "jo@alpha.example",
						Update: map[string]any{"email": address},
					})
			}
		}
		made = append(made,
			oktasim.Registration{Source: source, Email: "jo@alpha.example", Login: "jo@beta.example"},
			oktasim.Registration{Source: source, Email: "not an address"},
			oktasim.Registration{Source: source, Shape: oktasim.ProgressiveProfile, Update: map[string]any{"city": "Bern"}})
	}
	nobody, _ := rules.Compile(nil)
	options := hookserver.Options{}
	for _, kind := range made {
		call, err := kind.Call()
		if err != nil {
			panic(err) // impossible for the kinds above
		}
		request, err := okta.Decode(call.Body, hookserver.DefaultAddressAttributes())
		if err != nil {
			panic(err)
		}
		dryRun, err := hookserver.DryRun(&request, nobody, "", options)
		if err != nil {
			panic(err)
		}
		calls = append(calls, dryRun.Call)
	}
	return made, calls
}

// deciderOf returns a function that decides a call, named by its index in kindCalls, by the policies. It caches the
// decisions.
func deciderOf(policies []*rules.Compiled) func(kind int) history.Answer {
	var snapshot *rules.Snapshot
	decided := make([]*history.Answer, len(kindCalls))
	return func(kind int) history.Answer {
		if decided[kind] == nil {
			if snapshot == nil {
				snapshot = rules.Assemble(nil, policies)
			}
			decision := snapshot.Decide(kindCalls[kind])
			decided[kind] = &history.Answer{Allow: decision.Outcome == rules.Allow, Reason: string(decision.Reason)}
		}
		return *decided[kind]
	}
}

// inScope returns a function that reports whether a call, named by its index in Kinds, comes from an Okta source in the
// scope. A nil scope contains all sources.
func inScope(scope []string) func(kind int) bool {
	return func(kind int) bool { return scope == nil || slices.Contains(scope, Kinds[kind].Source) }
}
