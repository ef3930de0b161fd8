package input

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadEndsAtTheLimit(t *testing.T) {
	long := strings.Repeat("x", MaxBytes+1)
	path := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(path, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	for sentence, name := range map[string]string{"a file": path, "standard input": "-"} {
		t.Run(sentence, func(t *testing.T) {
			if text, err := Read(name, strings.NewReader(long)); err != nil || len(text) != MaxBytes {
				t.Errorf("%d bytes, %v", len(text), err)
			}
		})
	}
	if text, err := ReadUpTo(path, 3); err != nil || string(text) != "xxx" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAFileOfAuthoritiesIsNamedByItsFlag(t *testing.T) {
	if found, err := Authorities(""); found != nil || err != nil {
		t.Errorf("without the flag: %v, %v", found, err)
	}
	if _, err := Authorities(filepath.Join(t.TempDir(), "away")); err == nil || !strings.HasPrefix(err.Error(), "--ca-file: ") {
		t.Error(err)
	}
}
