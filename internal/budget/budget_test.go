package budget_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/rules"
)

// admit returns which lists fit beside policies, and why the policies do not.
func admit(limit int64, specs []int64, lists [][2]int64) (fits []bool, refusal string) {
	account := budget.Limits{"a": limit}.Open("a", slices.Values(specs))
	for _, list := range lists {
		fit := account.Check(list[0], list[1]) == ""
		if fit {
			account.Take(list[0], list[1])
		} else {
			account.Refuse(list[0], list[1])
		}
		fits = append(fits, fit)
	}
	return fits, account.Refusal()
}

func TestAnAccountGoesByStoredSizesAlone(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		limit := 1 + r.Int64N(8<<20)
		var specs []int64
		for range r.IntN(20) {
			specs = append(specs, r.Int64N(100_000))
		}
		var lists [][2]int64
		for range r.IntN(6) {
			text := r.Int64N(2 << 20)
			lists = append(lists, [2]int64{text, text / 20})
		}
		fits, refusal := admit(limit, specs, lists)
		r.Shuffle(len(specs), func(i, j int) { specs[i], specs[j] = specs[j], specs[i] })
		if again, why := admit(limit, specs, lists); fmt.Sprint(again) != fmt.Sprint(fits) || why != refusal {
			t.Fatalf("seed %d: another order of the policies gives %v %q, want %v %q", seed, again, why, fits, refusal)
		}
		if more, why := admit(limit, append(specs, 1), nil); refusal != "" && why == "" {
			t.Fatalf("seed %d: one more policy makes them fit: %v", seed, more)
		}
		var taken int64
		for _, spec := range specs {
			taken += budget.PolicyCost(spec)
		}
		for i, fit := range fits {
			if fit {
				taken += budget.ListCost(lists[i][0], lists[i][1])
			}
		}
		if refusal == "" && taken > limit {
			t.Fatalf("seed %d: %d bytes are given of %d", seed, taken, limit)
		}
	}
}

func TestARefusalNamesTheFigures(t *testing.T) {
	t.Parallel()
	account := budget.Limits{"team-a": 1 << 20}.Open("team-a", slices.Values([]int64{1 << 20}))
	for _, want := range []string{"team-a", "4.0 MiB", "1.0 MiB", "--namespace-limits"} {
		if got := account.Refusal(); !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if got := account.Check(30<<20, 0); !strings.Contains(got, "30 MiB of text") || !strings.Contains(got, "0 KiB are left") {
		t.Errorf("a list: %q", got)
	}
}

func TestALimitSharesOutWhatThereIs(t *testing.T) {
	t.Parallel()
	const memory = 230 << 20
	for _, names := range [][]string{{"own"}, {"own", "a"}, {"own", "a", "b", "c"}} {
		limits, err := budget.Limits{}.Share(memory, "own", names)
		if err != nil || limits.Excess(memory) != 0 || limits["own"] != budget.Available(memory)/2 {
			t.Errorf("%v: %v, %v", names, limits, err)
		}
	}
	if limits, err := (budget.Limits{"own": 1 << 30}).Share(memory, "own", []string{"own", "a"}); err == nil {
		t.Errorf("nothing is left for a, which gets %v", limits)
	}
	if limits, err := (budget.Limits{"own": 1 << 30}).Share(memory, "own", []string{"own"}); err != nil || limits.Excess(memory) == 0 {
		t.Errorf("%v, %v", limits, err)
	}
	for _, bad := range []string{"own", "own=", "own=-1", "own=big", "=1Mi", "Own=1Mi"} {
		if limits, err := budget.Parse([]string{bad}); err == nil {
			t.Errorf("%q is read as %v", bad, limits)
		}
	}
	if _, err := budget.Parse([]string{"a=1Mi", "a=2Mi"}); err == nil {
		t.Error("a limit that is given twice is read")
	}
}

// Whatever the list, two versions of it are there for less than it is counted.
func TestTheCostOfAListCoversTwoVersions(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"a%d.be\n", "name%d.some-mailbox.example\n", "jo.%d@a-company-with-a-long-name.example\n"} {
		for _, lines := range []int{1, 100, 20_000} {
			var text bytes.Buffer
			for i := range lines {
				fmt.Fprintf(&text, format, i)
			}
			// A table grows by a quarter, two bytes a line, and most of its last page may be free: see rules.TestWhatAListTakesAtMostIsEstimated.
			take := 2*rules.CompileList(text.Bytes()).Size() + 2*lines + min(text.Len(), 1<<20)
			if cost := budget.ListCost(int64(text.Len()), int64(lines)); cost < int64(take) {
				t.Errorf("%d of %q cost %d, and two versions take %d", lines, format, cost, take)
			}
		}
	}
}

// Readers size the operator by what the page about lists says.
func TestThePageSaysWhatAnEntryOfAListTakes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/policies/lists.md")
	if err != nil {
		t.Fatal(err)
	}
	const entries, line = 1_000_000, 22 // 21 characters and the end of the line
	var said float64
	text := strings.Join(strings.Fields(string(page)), " ") // without line breaks
	_, after, _ := strings.Cut(text, "of its namespace counts some ")
	if _, err := fmt.Sscanf(after, "%f bytes an entry where a million domains have 21 characters each", &said); err != nil {
		t.Fatal("the page no longer says what an entry takes: ", err)
	}
	if cost := float64(budget.ListCost(entries*line, entries)) / entries; math.Abs(cost-said) > 5 {
		t.Errorf("an entry takes %.1f bytes, and the page says some %.0f", cost, said)
	}
}
