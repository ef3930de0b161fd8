package history

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The calls of the tests: kind 0 is allowed by the odd versions, kind 1 by none, kind 2 by all.
const (
	byOdd = iota
	byNone
	byAll
)

var (
	limits = Limits{Answer: 3 * time.Second, Staleness: 30 * time.Second, Unfenced: 45 * time.Second}

	allowed    = Answer{Allow: true, Reason: "Allowed"}
	notAllowed = Answer{Reason: "NotAllowed"}
)

// good returns a history in which every promise is kept, and held against something: three versions, a minute apart, and in
// each a call of each kind, of the newest version, by a pod that serves.
func good() *History {
	h := &History{Versions: map[string]*Version{}, Stored: map[Generation]int{}}
	for i, digest := range []string{"v0", "v1", "v2"} {
		begin := Moment(i) * time.Minute
		superseded := begin + time.Minute + 10*time.Millisecond // what is known to be stored was stored before
		if i == 2 {
			superseded = Never
		}
		h.Versions[digest] = &Version{Policies: i, Begin: begin, Superseded: superseded, Decide: func(kind int) Answer {
			if kind == byAll || kind == byOdd && i%2 == 1 {
				return allowed
			}
			return notAllowed
		}}
		generation := Generation{"acme", "uid", int64(i + 1)}
		h.Stored[generation] = i
		for kind := range 3 {
			sent := begin + 30*time.Second + Moment(kind)*time.Second
			h.Calls = append(h.Calls, Call{
				Kind: kind, Begin: sent, LastBegin: sent, End: sent + time.Millisecond, Attempts: 1, Answered: true,
				Answer: h.Versions[digest].Decide(kind), Digest: digest, HeaderDigest: digest, Pod: "pod", Start: 1,
			})
		}
		h.Sights = append(h.Sights,
			Sight{Generation: generation, Reason: "RollingOut", Asked: begin + time.Second, Seen: begin + 2*time.Second},
			Sight{Generation: generation, Ready: true, Asked: begin + 20*time.Second, Seen: begin + 21*time.Second},
			Sight{Generation: generation, Ready: true, Asked: begin + 40*time.Second, Seen: begin + 41*time.Second})
	}
	h.Terms = []Term{{Pod: "pod", From: 0, Until: Never}}
	return h
}

// of returns the call of a kind in the time of a version.
func (h *History) of(version, kind int) *Call { return &h.Calls[version*3+kind] }

func TestAHistoryInWhichEveryPromiseIsKeptHasNoViolation(t *testing.T) {
	report := Check(good(), limits)
	if len(report.Violations) > 0 {
		t.Errorf("%v", report.Violations)
	}
	for _, name := range Names() {
		if report.Held[name] == 0 {
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
		"a digest that was not stored yet":        {func(h *History) { h.of(1, byAll).rename("v2") }, []Name{UnknownDigest}},
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
		"an older generation after Ready was seen": {func(h *History) {
			h.Sights = slices.Insert(h.Sights, 4, Sight{
				Generation: Generation{"acme", "uid", 2}, Ready: true, Asked: 61 * time.Second, Seen: 62 * time.Second,
			})
			call := h.of(1, byNone)
			call.move(3 * time.Second)
			call.rename("v0")
		}, []Name{PrematureReady}},
		"a generation that is ready before it is answered by, and after the last look": {func(h *History) {
			h.Sights = append(h.Sights[:4], Sight{
				Generation: Generation{"acme", "uid", 2}, Ready: true, Asked: 61 * time.Second, Seen: 62 * time.Second,
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
		"two calls at the same time": func(h *History) {
			older, newer := h.of(1, byNone), h.of(1, byAll)
			older.move(5 * time.Second)
			older.End = older.Begin + time.Second
			older.rename("v0")
			newer.move(5*time.Second + 500*time.Millisecond)
		},
		"an older generation of a replica that does not serve": func(h *History) {
			h.Terms = []Term{{Pod: "pod", From: 0, Until: 70 * time.Second}}
			call := h.of(1, byNone)
			call.old("v0", 29*time.Second)
			call.Pod, call.Start = "pod", 2
		},
		"an older generation, where Ready was taken back": func(h *History) {
			h.Sights[5].Ready = false
			h.Sights[5].Reason = "ReplicaSilent"
			call := h.of(1, byNone)
			call.old("v0", 29*time.Second)
			call.Pod, call.Start = "pod", 2
		},
		"an answer that a standstill of the machine made late": func(h *History) {
			call := h.of(1, byAll)
			call.End = call.Begin + 4*time.Second
			h.Standstills = []Standstill{{call.Begin + time.Second, call.Begin + 3*time.Second}}
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
	h.Standstills = []Standstill{{0, time.Second}}
	report := Check(h, limits)
	if len(report.Violations) != 1 || report.Violations[0].Name != Lost || report.Stood != 0 {
		t.Errorf("%+v", report)
	}
}

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
