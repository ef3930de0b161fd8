package script

import (
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func take(steps iter.Seq[Step], n int) []Step {
	var taken []Step
	for step := range steps {
		if taken = append(taken, step); len(taken) == n {
			break
		}
	}
	return taken
}

func TestTheSameSeedGivesTheSameScriptAndAnotherOneAnother(t *testing.T) {
	const enough = 100
	for name, stream := range map[string]func(uint64, ...Fault) iter.Seq[Step]{"replicas": Replicas, "plane": Plane, "rights": Rights, "tenants": Tenants} {
		if diff := cmp.Diff(take(stream(7), enough), take(stream(7), enough)); diff != "" {
			t.Errorf("%s: two scripts of one seed (-first +second):\n%s", name, diff)
		}
		if cmp.Equal(take(stream(7), enough), take(stream(8), enough)) {
			t.Errorf("%s: two seeds give one script", name)
		}
	}
}

func TestEveryFaultIsDealtInTheFirstRound(t *testing.T) {
	for _, faultsOf := range []struct {
		faults map[Fault]durationRange
		steps  iter.Seq[Step]
	}{{replicaFaults, Replicas(3)}, {planeFaults, Plane(3)}, {rightsFaults, Rights(3)}, {tenantFaults, Tenants(3)}} {
		dealt := map[Fault]bool{}
		for _, step := range take(faultsOf.steps, len(faultsOf.faults)) {
			dealt[step.Fault] = true
		}
		for fault := range faultsOf.faults {
			if !dealt[fault] {
				t.Errorf("%s is not in the first round", fault)
			}
		}
	}
}

func TestAScriptOfSomeFaultsHasNoOthers(t *testing.T) {
	const enough = 20
	for _, step := range take(Replicas(1, Kill, FreezeNode), enough) {
		if step.Fault != Kill && step.Fault != FreezeNode {
			t.Errorf("%s is in a script of others", step.Fault)
		}
	}
	for step := range Plane(1, Kill) {
		t.Errorf("%s is in a script of faults of replicas", step.Fault)
	}
}
