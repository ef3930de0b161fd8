package console

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFileShowsNoColour(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if (Streams{Out: file}).Coloured() {
		t.Error("a file is taken for a terminal")
	}
}
