package rules

import "testing"

func TestABlockTakesARuleUpToItsLimits(t *testing.T) {
	for sentence, test := range map[string]struct {
		index, before int // the index of the entry, and how many bytes the block has
		want          bool
	}{
		"the last index":      {maxEntryIndex, 0, true},
		"an index beyond":     {maxEntryIndex + 1, 0, false},
		"a block at its size": {0, maxPolicyRules, true},
		"a block beyond it":   {0, maxPolicyRules + 1, false},
	} {
		w := blockWriter{block: make(ruleBlock, test.before, maxPolicyRules+64)}
		if got := w.add(Entry{DenyDomains, test.index}, "acme.com", matchesSelf); got != test.want || (len(w.block) > test.before) != test.want {
			t.Errorf("%s: added %t in %d bytes, want %t", sentence, got, len(w.block)-test.before, test.want)
		}
	}
}
