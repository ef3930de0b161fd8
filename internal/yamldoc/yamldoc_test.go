package yamldoc

import (
	"strings"
	"testing"
)

const text = `# a comment
spec:
  allow: &rules
    domains:
    - acme.com
    - "beta.example"
  deny: *rules
  "a.b/c": yes
`

func parsed(t *testing.T) *Node {
	t.Helper()
	node, err := Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func TestAPathIsFoundByItsLine(t *testing.T) {
	node := parsed(t)
	for path, want := range map[string]string{
		"": "a.yaml:2", "spec": "a.yaml:2", "spec.allow": "a.yaml:3", "spec.allow.domains": "a.yaml:4", "spec.allow.domains[1]": "a.yaml:6",
		"spec.deny.domains[0]": "a.yaml:5", // where the anchor is
		// The nearest parent of what does not exist.
		"spec.allow.domains[7]": "a.yaml:4", "spec.allow.addresses[0]": "a.yaml:3", "metadata.name": "a.yaml:2",
	} {
		if got := node.Place(path); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
}

func TestAnEntryIsFoundByItsColumn(t *testing.T) {
	node, err := Parse("a.yaml", []byte(`known: &known acme.com
base: &base
  allow: {domains: [d.example]}
loop: &loop
  <<: [*loop, *loop]
spec:
  <<: [*base, *loop]
  deny: {domains: [a.example, "b.example", *known]}
  lists:
  - configMap: {name: ü, key: k}
`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]int{
		"spec.deny": {8, 3}, "spec.deny.domains": {8, 10}, "spec.deny.domains[0]": {8, 20}, "spec.deny.domains[1]": {8, 31},
		"spec.deny.domains[2]":  {8, 44}, // the alias, and not its anchor
		"spec.allow.domains[0]": {3, 21}, // from a merge key
		"spec.lists[0]":         {10, 5}, "spec.lists[0].configMap.key": {10, 26}, "spec.mode": {6, 1},
	} {
		if got := node.PositionOf(path); got != (Position{"a.yaml", want[0], want[1]}) {
			t.Errorf("%s is at %v, want %v", path, got, want)
		}
	}
	if value, _ := node.Find("spec.deny.domains[2]").Text(); value != "acme.com" {
		t.Errorf("the alias is %q", value)
	}
}

func TestAValueIsReadAsItIsWritten(t *testing.T) {
	node := parsed(t)
	for path, want := range map[string]struct {
		text           string
		scalar, quoted bool
	}{
		"spec.allow.domains[0]": {"acme.com", true, false}, "spec.deny.domains[1]": {"beta.example", true, true},
		"spec.allow": {}, "spec.allow.domains[2]": {}, "none.at[1].all": {},
	} {
		got, scalar := node.Find(path).Text()
		if got != want.text || scalar != want.scalar {
			t.Errorf("%s: %q, %t; want %q, %t", path, got, scalar, want.text, want.scalar)
		}
		if _, unquoted := node.Find(path).Unquoted(); unquoted != (want.scalar && !want.quoted) {
			t.Errorf("%s: unquoted %t", path, unquoted)
		}
	}
	if got, _ := node.Get("spec", "a.b/c").Text(); got != "yes" {
		t.Errorf("a name with dots: %q", got)
	}
	if got := len(node.Find("spec.deny.domains").Items()); got != 2 || node.Find("spec").Items() != nil {
		t.Errorf("%d items, want 2; and of an object none", got)
	}
}

func TestADocumentKeepsItsLines(t *testing.T) {
	documents := Split([]byte("a: 1\n---\n# b\nb: 2\n--- # c\nc: 3\n"))
	for i, want := range []string{"a.yaml:1", "a.yaml:4", "a.yaml:6"} {
		node, err := Parse("a.yaml", documents[i])
		if err != nil {
			t.Fatal(err)
		}
		if got := node.Place(""); got != want {
			t.Errorf("document %d is at %s, want %s", i, got, want)
		}
	}
	if node, err := Parse("a.yaml", []byte("# only a comment\n")); node != nil || err != nil {
		t.Errorf("a comment is %v, %v", node, err)
	}
	if _, err := Parse("a.yaml", []byte("a: 1\n--- {b: 2}\n")); err == nil || !strings.HasPrefix(err.Error(), "a.yaml:2: another document") {
		t.Errorf("a second document: %v", err)
	}
}

func TestWhatIsDecodedTwiceIsAnError(t *testing.T) {
	_, err := ToJSON("a.yaml", []byte("\n\na: 1\na: 2\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "a.yaml:4: ") || !strings.HasSuffix(err.Error(), "write each field once") {
		t.Errorf("a field twice: %v", err)
	}
}
