package list

import (
	"testing"
)

func TestAListHasAtMostItsLimits(t *testing.T) {
	text := []byte("a.example\nb.example\n")
	for sentence, test := range map[string]struct {
		size, entries int // of the texts before
		want          string
	}{
		"as many bytes as it may have":   {maxText - len(text), 0, ""},
		"a byte more":                    {maxText - len(text) + 1, 0, "it has over 512 MiB"},
		"as many entries as it may have": {0, maxEntries - 2, ""},
		"an entry more":                  {0, maxEntries - 1, "it has over 4000000 entries"},
	} {
		b := NewBuilder()
		b.size, b.list.entries = test.size, test.entries
		b.Add(text)
		if got := b.Finish().Fault(); got != test.want {
			t.Errorf("%s: %q, want %q", sentence, got, test.want)
		}
	}
}

// Once a list has a fault, nothing of it is kept in memory.
func TestAListThatIsTooLargeHasNoEntries(t *testing.T) {
	b := NewBuilder()
	b.Add([]byte("a.example\n"))
	b.size = maxText
	b.Add([]byte("b.example\n"))
	list := b.Finish()
	for entry := range list.All() {
		t.Errorf("has %s", entry)
	}
	if list.Has("a.example") {
		t.Error("has the entry from before the limit")
	}
}
