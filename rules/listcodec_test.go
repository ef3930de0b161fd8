package rules_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
)

func encodeList(t testing.TB, list *rules.List) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := list.Encode(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// listFacts are what a list says of itself.
func listFacts(l *rules.List) string {
	skipped, skippedLines := l.Skipped()
	unusable, unusableLines := l.Unusable()
	suffixes, suffixLines := l.Suffixes()
	return fmt.Sprintln(l.Digest(), l.Fault(), l.Entries(), skipped, skippedLines, unusable, unusableLines, suffixes, suffixLines)
}

// sameList fails the test unless two lists say and decide the same.
func sameList(t *testing.T, got, want *rules.List, addresses []string) {
	t.Helper()
	if diff := cmp.Diff(listFacts(want), listFacts(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wanted := maps.Collect(entriesOf(want))
	for entry := range got.All() {
		if !wanted[entry] || !got.Has(entry) {
			t.Errorf("entry %q is not in both", entry)
		}
		delete(wanted, entry)
	}
	if len(wanted) > 0 {
		t.Errorf("%d entries are lost", len(wanted))
	}
	for _, address := range addresses {
		for _, policy := range []rules.Policy{
			{Allow: rules.AllowRules{Lists: []rules.ListUse{{Name: "l"}}}},
			{Allow: rules.AllowRules{Domains: []string{"*"}}, Deny: rules.DenyRules{Lists: []rules.ListUse{{Name: "l"}}}},
		} {
			if before, after := decideWith(policy, want, address), decideWith(policy, got, address); before != after {
				t.Errorf("%s: %s, want %s", address, after, before)
			}
		}
	}
}

func entriesOf(l *rules.List) func(func(string, bool) bool) {
	return func(yield func(string, bool) bool) {
		for entry := range l.All() {
			if !yield(entry, true) {
				return
			}
		}
	}
}

// decideWith returns the reason for which a policy decides the sign-up of an address where all of its lists are this one.
func decideWith(policy rules.Policy, list *rules.List, address string) rules.Reason {
	for _, uses := range []*[]rules.ListUse{&policy.Allow.Lists, &policy.Deny.Lists} {
		*uses = slices.Clone(*uses)
		for i := range *uses {
			(*uses)[i].List = list
		}
	}
	snapshot, _ := rules.Compile([]rules.Policy{policy})
	return snapshot.Decide(rules.Call{
		Shape: rules.SignUp, Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: address}},
	}).Reason
}

// Whatever the text, a list that was encoded and decoded says and decides what the compiled one does.
func TestADecodedListDecidesAsTheCompiledOne(t *testing.T) {
	t.Parallel()
	parts := []string{
		"acme.com", "*.acme.com", "jo@acme.com", "jo+*@acme.com", "co.uk", "MÜLLER.de", "faß.example", "zip", "*", "0.0.0.0 a.example", "# note", "",
	}
	addresses := []string{
		"jo@acme.com", "jo+x@acme.com", "al@acme.com", "jo@a.acme.com", "jo@a.co.uk", "jo@müller.de", "jo@fass.example",
		"jo@n7.example", "jo@unknown.example", "jo@a.zip",
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		var text strings.Builder
		for i := range r.IntN(5) * 100 {
			fmt.Fprintf(&text, "n%d.example\n", i)
		}
		for range r.IntN(20) {
			text.WriteString(parts[r.IntN(len(parts))] + "\n")
		}
		list := rules.CompileList([]byte(text.String()))
		encoded := encodeList(t, list)
		from := bytes.NewReader(append(encoded, "more"...))
		decoded, err := rules.DecodeList(from)
		if err != nil || from.Len() != len("more") {
			t.Fatalf("seed %d: %v, %d bytes left", seed, err, from.Len())
		}
		sameList(t, decoded, list, addresses)
		if !bytes.Equal(encodeList(t, decoded), encoded) {
			t.Errorf("seed %d: encoded again, it is another", seed)
		}
	}
}

func TestAListOfManyPagesIsDecoded(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	for i := range 120_000 {
		fmt.Fprintf(&text, "first.last%d@company%d.example\n", i, i%100)
	}
	list := rules.CompileList(text.Bytes())
	decoded, err := rules.DecodeList(bytes.NewReader(encodeList(t, list)))
	if err != nil {
		t.Fatal(err)
	}
	sameList(t, decoded, list, []string{"first.last119999@company99.example", "first.last119999@company98.example"})
	if got, want := decoded.Size(), list.Size(); got > want+want/50 {
		t.Errorf("it takes %d bytes, and %d before", got, want)
	}
}

func TestADamagedListIsRefused(t *testing.T) {
	t.Parallel()
	good := encodeList(t, rules.CompileList([]byte("acme.com\nbeta.example\n")))
	head := 4 + int(good[3]) // its length is below 256
	page := good[head:]
	change := func(old, replacement string) []byte { return bytes.Replace(good, []byte(old), []byte(replacement), 1) }
	at := func(place int, value byte) []byte {
		changed := bytes.Clone(good)
		changed[place] = value
		return changed
	}
	for sentence, text := range map[string][]byte{
		"no head":                 {0, 0, 0, 0},
		"a long head":             append([]byte{0, 1, 0, 0}, make([]byte, 1<<16)...),
		"another member":          change(`"Fault"`, `"Fauld"`),
		"another type":            change(`"Fault":""`, `"Fault":17`),
		"a digest of another sum": change("sha256:", "sha255:"),
		"a digest of letters":     at(bytes.Index(good, []byte("sha256:"))+7, 'g'),
		"no pages":                change(`"Pages":1`, `"Pages":0`),
		"too many pages":          change(`"Pages":1`, `"Pages":9`),
		"fewer lines than named":  change(`"Count":0,"First":null`, `"Count":0,"First":[12]`),
		"a kind that is not":      at(head+4, 1<<6),
		"no kind":                 at(head+4, 0),
		"an empty key":            at(head+5, 0),
		"a key over the end":      at(head+5, 255),
		"an entry without a key":  append(at(head+3, good[head+3]+1), 1),
		"a page of nothing":       append(bytes.Clone(good[:head]), 0, 0, 0, 0),
		"a page that is too long": append(bytes.Clone(good[:head]), 0xff, 0, 0, 0),
		"below an address":        at(head+6+4, '@'),
		"a wildcard as a key":     change("acme.com", "*.me.com"),
		"every name as a key":     append(bytes.Clone(good[:head]), 0, 0, 0, 3, good[head+4], 1, '*'),
		"an entry that is twice":  slices.Concat(good[:head], []byte{0, 0, 0, page[3] * 2}, page[4:], page[4:]),
	} {
		if bytes.Equal(text, good) {
			t.Fatalf("%s: nothing was changed", sentence)
		}
		list, err := rules.DecodeList(bytes.NewReader(text))
		if err == nil || list != nil {
			t.Errorf("%s: taken", sentence)
		}
	}
	for length := range good {
		if _, err := rules.DecodeList(bytes.NewReader(good[:length])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the first %d bytes: %v", length, err)
		}
	}
}

// FuzzDecodeList reads what anybody could have put there: it is refused, or it is a list that can be written and read again as the same.
func FuzzDecodeList(f *testing.F) {
	for _, text := range []string{"", "acme.com\n*.acme.com\njo+*@acme.com\n", "0.0.0.0 a.example\n", "co.uk\nfaß.example\n"} {
		f.Add(encodeList(f, rules.CompileList([]byte(text))))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := rules.DecodeList(bytes.NewReader(text))
		if err != nil {
			if list != nil {
				t.Fatal("an error together with a list")
			}
			return
		}
		again, err := rules.DecodeList(bytes.NewReader(encodeList(t, list)))
		if err != nil {
			t.Fatal(err)
		}
		sameList(t, again, list, []string{"jo@acme.com", "jo+x@acme.com", "jo@a.acme.com"})
	})
}
