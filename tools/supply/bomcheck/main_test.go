package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestABillOfMaterialsIsHeldAgainstWhatIsLinkedAndWhatMayBeShipped(t *testing.T) {
	licensed := func(licences ...string) string {
		var list []string
		for _, licence := range licences {
			list = append(list, `{"license": {"id": "`+licence+`"}}`)
		}
		return `{"name": "example.com/m", "version": "v1.0.0", "evidence": {"licenses": [` + strings.Join(list, ",") + `]}}`
	}
	for sentence, test := range map[string]struct {
		components string
		want       []string
	}{
		"a licence that we may ship":   {licensed("MIT"), nil},
		"one that we may not":          {licensed("AGPL-3.0-only"), []string{`example.com/m v1.0.0: licence "AGPL-3.0-only" is not one that we ship`}},
		"two, of which we may not one": {licensed("MIT", "SSPL-1.0"), []string{`example.com/m v1.0.0: licence "SSPL-1.0" is not one that we ship`}},
		"none that was found":          {licensed(), []string{"example.com/m v1.0.0: no licence found"}},
		"a module that is not named":   {"", []string{"example.com/m v1.0.0: linked, and not named"}},
		"another version than is linked": {
			strings.Replace(licensed("MIT"), "v1.0.0", "v1.0.1", 1),
			[]string{"example.com/m v1.0.1: named, and not linked", "example.com/m v1.0.0: linked, and not named"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			var named bom
			if err := json.Unmarshal([]byte(`{"components": [`+test.components+`]}`), &named); err != nil {
				t.Fatal(err)
			}
			if got := compare(map[string]bool{"example.com/m v1.0.0": true}, named); !slices.Equal(got, test.want) {
				t.Errorf("faults %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatIsLinkedIsReadFromTheProgram(t *testing.T) {
	program, err := os.Executable() // has no module but the standard library
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bom.json")
	text := `{"components": [{"name": "example.com/m", "version": "v1.0.0", "evidence": {"licenses": [{"license": {"id": "MIT"}}]}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	faults, components, err := check(program, file)
	if err != nil || components != 1 || !slices.Equal(faults, []string{"example.com/m v1.0.0: named, and not linked"}) {
		t.Errorf("%q of %d, %v", faults, components, err)
	}
}
