package pastcalls

import (
	"encoding/json"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// checkScan compares the members that scanObject yields for a valid object with those of the standard library.
func checkScan(t *testing.T, text []byte) {
	t.Helper()
	if len(text) == 0 || text[0] != '{' || !jsontext.Value(text).IsValid() {
		return
	}
	var want map[string]json.RawMessage
	if err := json.Unmarshal(text, &want); err != nil {
		return
	}
	got := 0
	complete := scanObject(text, func(name, value []byte) bool {
		var key string
		if err := json.Unmarshal([]byte(`"`+string(name)+`"`), &key); err != nil {
			t.Errorf("name %q: %v", name, err)
		}
		if string(want[key]) != string(value) {
			t.Errorf("member %q is %s, want %s", key, value, want[key])
		}
		got++
		return true
	})
	if !complete || got != len(want) {
		t.Errorf("%d members, complete: %t; want %d", got, complete, len(want))
	}
}

func TestScanObjectFindsEachMember(t *testing.T) {
	for _, text := range []string{
		`{}`, ` {}`, `{ }`, decidedLine, `{"a":"x\\"}`, `{"a":"\"}","b":{"c":"}\\\""},"d":[1,{"e":2}],"f":true , "g" : null}`, "{\"a\"\n:\t1\r}",
	} {
		checkScan(t, []byte(text))
	}
	for _, text := range []string{
		`{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":x}`, `{"a":"x}`, `{"a":{}`, `{"a":1}}`, `{a:1}`, `{"a":1} 2`, `{"a":"\`, `{"a" 1}`, `{"a":1 "b":2}`,
		`{"a":[}`,
	} {
		if scanObject([]byte(text), func(_, _ []byte) bool { return true }) {
			t.Errorf("%s is taken for an object", text)
		}
	}
}
