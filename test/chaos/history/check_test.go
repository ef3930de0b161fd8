package history

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The kinds of the calls in the tests: byOdd is allowed by the versions with odd numbers, byNone by none, byAll by all,
// and ofTenant, which is in the scope of a tenant, by none.
const (
	byOdd = iota
	byNone
	byAll
	ofTenant
	kinds
)

// The namespaces of the tests: the versions differ in own. tenant does not change.
const own, tenant = "own", "team"

var (
	limits = Limits{Answer: 3 * time.Second, Staleness: 30 * time.Second, Unfenced: 45 * time.Second, Again: time.Second}

	allowed    = Answer{Allow: true, Reason: "Allowed"}
	notAllowed = Answer{Reason: "NotAllowed"}
	denied     = Answer{Reason: "PolicyNotEnforceable"}
)

// good returns a history in which every promise is kept, and every check is made: three versions, a minute apart. In
// each minute, a serving pod answers a call of each kind by the newest version.
func good() *History {
	always := []Span{{0, Never}}
	lists := [ListCount][]Span{always, always}
	ours := &Namespace{Lists: lists, Stored: map[Generation]int{}, InScope: func(int) bool { return true }}
	h := &History{Versions: map[string]*Version{}, Namespaces: map[string]*Namespace{own: ours, tenant: {
		Policies: always, Lists: lists, InScope: func(kind int) bool { return kind == ofTenant },
	}}}
	for i, digest := range []string{"v0", "v1", "v2"} {
		begin := Moment(i) * time.Minute
		superseded := begin + time.Minute + 10*time.Millisecond // when the next write was known to be stored
		if i == 2 {
			superseded = Never
		}
		ours.Policies = append(ours.Policies, Span{begin, superseded})
		decide := func(kind int) Answer {
			if kind == byAll || kind == byOdd && i%2 == 1 {
				return allowed
			}
			return notAllowed
		}
		h.Versions[digest] = &Version{Parts: map[string]Part{own: {Policies: i}, tenant: {}}, Decide: decide}
		h.Versions[digest+" without the tenant"] = &Version{
			Parts: map[string]Part{own: {Policies: i}, tenant: {Denied: true}},
			Decide: func(kind int) Answer {
				if kind == ofTenant {
					return denied
				}
				return decide(kind)
			},
		}
		generation := Generation{own, "acme", "uid", int64(i + 1)}
		ours.Stored[generation] = i
		for kind := range kinds {
			sent := begin + 30*time.Second + Moment(kind)*time.Second
			h.Calls = append(h.Calls, Call{
				Kind: kind, Begin: sent, LastBegin: sent, End: sent + time.Millisecond, Attempts: 1, Answered: true,
				Answer: h.Versions[digest].Decide(kind), Digest: digest, HeaderDigest: digest, Pod: "pod", Start: 1,
			})
		}
		h.Observations = append(h.Observations,
			Observation{Generation: generation, Reason: "RollingOut", Asked: begin + time.Second, Seen: begin + 2*time.Second},
			Observation{Generation: generation, Ready: true, Asked: begin + 20*time.Second, Seen: begin + 21*time.Second},
			Observation{Generation: generation, Ready: true, Asked: begin + 40*time.Second, Seen: begin + 41*time.Second})
	}
	h.ServingPeriods = []ServingPeriod{{Pod: "pod", From: 0, Until: Never}}
	return h
}

// of returns the call of a kind in the minute of a version.
func (h *History) of(version, kind int) *Call { return &h.Calls[version*kinds+kind] }

func TestAHistoryInWhichEveryPromiseIsKeptHasNoViolation(t *testing.T) {
	report := Check(good(), limits)
	if len(report.Violations) > 0 {
		t.Errorf("%v", report.Violations)
	}
	for _, name := range Names() {
		if report.Checked[name] == 0 {
			t.Errorf("%s was held against nothing", name)
		}
	}
}

func TestEveryPlantedViolationIsFoundByItsName(t *testing.T) {
	for sentence, c := range map[string]struct {
		plant func(h *History)
		want  []Name
	}{
		"a call without an answer": {func(h *History) { h.of(1, byAll).Answered = false }, []Name{Lost}},
		"an answer after Okta has left, of one attempt": {func(h *History) {
			call := h.of(1, byAll)
			call.End = call.Begin + limits.Answer + 1
		}, []Name{Late}},
		"an answer after Okta has left, whose last attempt was quick": {func(h *History) {
			call := h.of(1, byAll)
			call.Begin -= limits.Answer
			call.Attempts = 2
		}, []Name{Late}},
		"an answer that Okta dislikes":            {func(h *History) { h.of(1, byAll).Unusual = true }, []Name{Unusual}},
		"a digest that nobody stored":             {func(h *History) { h.of(1, byAll).rename("v9") }, []Name{UnknownDigest}},
		"no digest":                               {func(h *History) { h.of(1, byNone).rename("") }, []Name{UnknownDigest}},
		"a digest that was not stored yet":        {func(h *History) { h.of(1, ofTenant).rename("v2") }, []Name{UnknownDigest}},
		"a header that names other rules":         {func(h *History) { h.of(1, byAll).HeaderDigest = "v0" }, []Name{OtherDigest}},
		"no header":                               {func(h *History) { h.of(1, byAll).HeaderDigest = "" }, []Name{OtherDigest}},
		"a denial by rules that are too old":      {func(h *History) { h.of(1, byNone).old("v0", 31*time.Second) }, []Name{Stale}},
		"an allow by old rules that allow it now": {func(h *History) { h.of(1, byAll).old("v0", 31*time.Second) }, []Name{Stale}},
		"an allow by rules that are too old, where none in time allows": {func(h *History) {
			call := h.of(2, byOdd)
			call.old("v1", 31*time.Second)
			call.Answer = allowed
		}, []Name{Stale, WrongAllow}},
		"a denial by rules that are too old even for a replica that is not fenced": {func(h *History) {
			h.Unfenced = map[string]bool{"old": true}
			h.of(1, byNone).old("v0", 46*time.Second)
		}, []Name{Stale}},
		"an allow that no version gives":          {func(h *History) { h.of(1, byNone).Answer = allowed }, []Name{WrongAllow, WrongAnswer}},
		"an allow by a digest that nobody stored": {func(h *History) { h.of(1, byNone).claim("v9", allowed) }, []Name{UnknownDigest, WrongAllow}},
		"an allow that only a later version gives": {func(h *History) { h.of(0, byOdd).Answer = allowed },
			[]Name{WrongAllow, WrongAnswer}},
		"an allow that only another version in time gives": {func(h *History) {
			call := h.of(2, byOdd)
			call.move(5 * time.Second) // v1 was in force 5 s before
			call.Answer = allowed
		}, []Name{WrongAnswer}},
		"a denial that its version does not give": {func(h *History) { h.of(1, byAll).Answer = notAllowed }, []Name{WrongAnswer}},
		"another reason than its version gives": {func(h *History) {
			h.of(1, byNone).Answer = Answer{Reason: "Denied"}
		}, []Name{WrongAnswer}},
		"a replica that goes back, within the bound": {func(h *History) {
			h.of(1, byAll).move(5 * time.Second)
			back := h.of(1, byNone)
			back.move(6 * time.Second)
			back.rename("v0")
		}, []Name{WentBack}},
		"a replica that goes back when it is started anew": {func(h *History) {
			h.of(1, byAll).move(5 * time.Second)
			back := h.of(1, byNone)
			back.move(6 * time.Second)
			back.rename("v0")
			back.Start = 2
		}, []Name{WentBack}},
		"a scope that is denied for no reason": {func(h *History) { h.withoutTenant(1) }, []Name{Stale, UnfoundedDenial}},
		"a scope that is denied for long after the policies fit again": {func(h *History) {
			h.Namespaces[tenant].Refused = []Span{{60 * time.Second, 61 * time.Second}}
			h.withoutTenant(1).move(59 * time.Second)
		}, []Name{Stale, UnfoundedDenial}},
		"a scope that is denied for long after it can be read again": {func(h *History) {
			h.Namespaces[tenant].Unreadable = []Span{{60 * time.Second, 61 * time.Second}}
			call := h.withoutTenant(1)
			call.move(59 * time.Second)
			call.Start = 2
		}, []Name{Stale}},
		"a scope that is denied by a process that has read it": {func(h *History) {
			h.Namespaces[tenant].Unreadable = []Span{{60 * time.Second, Never}}
			h.withoutTenant(1)
		}, []Name{UnfoundedDenial}},
		"a scope that is denied by a process that started when it could be read again": {func(h *History) {
			h.Namespaces[tenant].Unreadable = []Span{{60 * time.Second, 80 * time.Second}}
			call := h.withoutTenant(1)
			call.Pod, call.Started = "other", 85*time.Second
		}, []Name{Stale, UnfoundedDenial}},
		"rules of a tenant that are too old, with rights for longer than the bound between": {func(h *History) {
			h.Namespaces[tenant].Policies = []Span{{0, 30 * time.Second}, {29 * time.Second, Never}}
			h.Namespaces[tenant].Unreadable = []Span{{10 * time.Second, 45 * time.Second}, {80 * time.Second, Never}}
			h.onlySecond()
		}, []Name{Stale}},
		"an older generation after Ready was seen": {func(h *History) {
			h.Observations = slices.Insert(h.Observations, 4, Observation{
				Generation: Generation{own, "acme", "uid", 2}, Ready: true, Asked: 61 * time.Second, Seen: 62 * time.Second,
			})
			call := h.of(1, byNone)
			call.move(3 * time.Second)
			call.rename("v0")
		}, []Name{PrematureReady}},
		"a generation that is ready before it is answered by, and after the last look": {func(h *History) {
			h.Observations = append(h.Observations[:4], Observation{
				Generation: Generation{own, "acme", "uid", 2}, Ready: true, Asked: 61 * time.Second, Seen: 62 * time.Second,
			})
			call := h.of(1, byNone)
			call.move(3 * time.Second)
			call.rename("v0")
		}, []Name{PrematureReady}},
		"a generation that is ready before it is answered by, of a namespace that could be read again long ago": {func(h *History) {
			h.Namespaces[own].Unreadable = []Span{{10 * time.Second, 30 * time.Second}}
			h.Observations = append(h.Observations[:4], Observation{
				Generation: Generation{own, "acme", "uid", 2}, Ready: true, Asked: 61 * time.Second, Seen: 61 * time.Second,
			})
			call := h.of(1, byNone)
			call.move(3 * time.Second)
			call.rename("v0")
		}, []Name{PrematureReady}},
	} {
		t.Run(sentence, func(t *testing.T) {
			h := good()
			c.plant(h)
			var got []Name
			for _, violation := range Check(h, limits).Violations {
				if !slices.Contains(got, violation.Name) {
					got = append(got, violation.Name)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoViolationIsNotTakenForOne(t *testing.T) {
	for sentence, plant := range map[string]func(h *History){
		"rules superseded within the bound": func(h *History) { h.of(1, byNone).old("v0", 29*time.Second) },
		"rules superseded within the bound of a replica that is not fenced": func(h *History) {
			h.Unfenced = map[string]bool{"old": true}
			h.of(1, byNone).old("v0", 44*time.Second)
		},
		"a second attempt within the time": func(h *History) {
			call := h.of(1, byAll)
			call.Begin -= 2 * time.Second
			call.Attempts = 2
		},
		"older rules of another replica": func(h *History) {
			h.of(1, byAll).move(5 * time.Second)
			back := h.of(1, byNone)
			back.move(6 * time.Second)
			back.rename("v0")
			back.Pod = "other"
		},
		"a list that no policy names": func(h *History) {
			part := h.Versions["v2"].Parts[own]
			part.Lists = [ListCount]int{Unused, Unused}
			h.Versions["v2"].Parts[own] = part
		},
		"rules that were stored again, after others": func(h *History) {
			h.Versions["v0"].Again = []*Version{h.Versions["v2"]} // both decide alike
			delete(h.Versions, "v2")
			for kind := range kinds {
				h.of(2, kind).rename("v0")
			}
		},
		"two calls at the same time": func(h *History) {
			older, newer := h.of(1, byNone), h.of(1, byAll)
			older.move(5 * time.Second)
			older.End = older.Begin + time.Second
			older.rename("v0")
			newer.move(5*time.Second + 500*time.Millisecond)
		},
		"an older generation of a replica that does not serve": func(h *History) {
			h.ServingPeriods = []ServingPeriod{{Pod: "pod", From: 0, Until: 70 * time.Second}}
			call := h.of(1, byNone)
			call.old("v0", 29*time.Second)
			call.Pod, call.Start = "pod", 2
		},
		"an older generation, of a namespace that could not be read since it was ready": func(h *History) {
			h.Namespaces[own].Unreadable = []Span{{62 * time.Second, Never}}
			h.Observations = append(h.Observations[:4], Observation{
				Generation: Generation{own, "acme", "uid", 2}, Ready: true, Asked: 61 * time.Second, Seen: 61 * time.Second,
			})
			call := h.of(1, byNone)
			call.move(3 * time.Second)
			call.rename("v0")
		},
		"an older generation, where Ready was taken back": func(h *History) {
			h.Observations[5].Ready = false
			h.Observations[5].Reason = "ReplicaSilent"
			call := h.of(1, byNone)
			call.old("v0", 29*time.Second)
			call.Pod, call.Start = "pod", 2
		},
		"a scope that is denied for its budget": func(h *History) {
			h.Namespaces[tenant].Refused = []Span{{60 * time.Second, Never}}
			h.withoutTenant(1)
		},
		"a scope that is denied for its budget of a moment ago": func(h *History) {
			h.Namespaces[tenant].Refused = []Span{{60 * time.Second, 80 * time.Second}}
			h.withoutTenant(1)
		},
		"a scope that is denied by a process that never read it": func(h *History) {
			h.Namespaces[tenant].Unreadable = []Span{{60 * time.Second, Never}}
			call := h.withoutTenant(1)
			call.Start, call.Started = 2, 70*time.Second
		},
		"a scope that is denied by a process that never read it, of a replica that is not fenced and answered by what was stored": func(h *History) {
			h.Unfenced = map[string]bool{"pod": true}
			h.Namespaces[tenant].Unreadable = []Span{{60 * time.Second, Never}}
			h.withoutTenant(1)
		},
		"rules of a tenant that were superseded while they could not be read": func(h *History) {
			h.Namespaces[tenant].Policies = []Span{{0, 30 * time.Second}, {29 * time.Second, Never}}
			h.Namespaces[tenant].Unreadable = []Span{{10 * time.Second, Never}}
			h.onlySecond()
		},
		"rules of a tenant that were superseded while they could not be read, a moment after they can": func(h *History) {
			h.Namespaces[tenant].Policies = []Span{{0, 30 * time.Second}, {29 * time.Second, Never}}
			h.Namespaces[tenant].Unreadable = []Span{{10 * time.Second, 65 * time.Second}}
			h.onlySecond()
		},
		"an answer that a stall of the machine made late": func(h *History) {
			call := h.of(1, byAll)
			call.End = call.Begin + 4*time.Second
			h.Stalls = []Stall{{call.Begin + time.Second, call.Begin + 3*time.Second}}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			h := good()
			plant(h)
			if violations := Check(h, limits).Violations; len(violations) > 0 {
				t.Errorf("%v", violations)
			}
		})
	}
}

func TestAStandstillElsewhereExcusesNothing(t *testing.T) {
	h := good()
	h.of(1, byAll).Answered = false
	h.Stalls = []Stall{{0, time.Second}}
	report := Check(h, limits)
	if len(report.Violations) != 1 || report.Violations[0].Name != Lost || report.Stalled != 0 {
		t.Errorf("%+v", report)
	}
}

func TestAnswersOfScopesThatFaultsTouchAreCounted(t *testing.T) {
	for sentence, c := range map[string]struct {
		plant func(h *History)
		want  [3]int // last known, never read, over budget
	}{
		"no fault": {func(*History) {}, [3]int{}},
		"rules that were last read": {func(h *History) {
			h.Namespaces[tenant].Unreadable = []Span{{60 * time.Second, 2 * time.Minute}}
		}, [3]int{1, 0, 0}},
		"a scope that was never read": {func(h *History) {
			h.Namespaces[tenant].Unreadable = []Span{{60 * time.Second, 2 * time.Minute}}
			h.withoutTenant(1).Start = 2
		}, [3]int{0, 1, 0}},
		"a scope beyond its budget": {func(h *History) {
			h.Namespaces[tenant].Refused = []Span{{60 * time.Second, 2 * time.Minute}}
			h.withoutTenant(1)
		}, [3]int{0, 0, 1}},
	} {
		h := good()
		c.plant(h)
		report := Check(h, limits)
		if got := [3]int{report.LastKnown, report.NeverRead, report.OverBudget}; got != c.want || len(report.Violations) > 0 {
			t.Errorf("%s: counted %v, want %v; violations %v", sentence, got, c.want, report.Violations)
		}
	}
}

// withoutTenant makes the answer to a call of the tenant's scope be a denial of all of it, and returns the call.
func (h *History) withoutTenant(version int) *Call {
	call := h.of(version, ofTenant)
	call.claim(call.Digest+" without the tenant", denied)
	return call
}

// onlySecond leaves only the calls of the second version.
func (h *History) onlySecond() { h.Calls = h.Calls[kinds : 2*kinds] }

// rename makes an answer be by other rules, by its own word.
func (c *Call) rename(digest string) { c.Digest, c.HeaderDigest = digest, digest }

// claim makes an answer be another one.
func (c *Call) claim(digest string, answer Answer) {
	c.rename(digest)
	c.Answer = answer
}

// move sends a call that long after its version began.
func (c *Call) move(since time.Duration) {
	begin := c.Begin.Truncate(time.Minute)
	took := c.End - c.Begin
	c.Begin, c.LastBegin, c.End = begin+since, begin+since, begin+since+took
}

// old makes an answer be by rules that were superseded that long before, of a replica of its own that does not serve.
func (c *Call) old(digest string, since time.Duration) {
	c.move(since + 10*time.Millisecond)
	c.rename(digest)
	c.Pod = "old"
}
