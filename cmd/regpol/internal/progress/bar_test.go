package progress

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

// cleared is how a line of a terminal ends up empty (ECMA-48 8.3.41, EL).
const cleared = "\x1b[2K\r"

func TestTheBarShowsHowMuchWasRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, make([]byte, 4_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	shows := func(t *testing.T, out *bytes.Buffer, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%q lacks %q", out, text)
			}
		}
		out.Reset()
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBar(&out)
		b.Begin(path)
		b.Add(500_000)
		if out.Len() > 0 {
			t.Errorf("at once: %q", out.String())
		}
		time.Sleep(barDelay)
		b.Add(500_000)
		shows(t, &out, path, "25%", "1.0/4.0 MB")
		b.Add(1_000_000)
		if out.Len() > 0 {
			t.Errorf("at once again: %q", out.String())
		}
		time.Sleep(barInterval)
		b.Add(1_000_000)
		shows(t, &out, "75%", "3.0/4.0 MB")
		b.Begin("standard input")
		shows(t, &out, cleared)
		b.Add(5_000_000)
		shows(t, &out, "standard input", "5.0 MB")
		time.Sleep(barInterval)
		b.Add(2_000_000)
		shows(t, &out, "7.0 MB")
		b.Stop()
		if !strings.HasSuffix(out.String(), cleared) {
			t.Errorf("the line is not empty: %q", out.String())
		}
		out.Reset()
		b.Stop()
		if out.Len() > 0 {
			t.Errorf("the second Stop prints %q", out.String())
		}
	})
}

func TestTheBarOfAWholeFileIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, make([]byte, 4_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBar(&out)
		b.Begin(path)
		time.Sleep(barDelay)
		b.Add(1_000_000)
		time.Sleep(barInterval)
		b.Add(3_000_000)
		b.Add(1_000_000) // it has grown
		b.Stop()
		if !strings.HasSuffix(out.String(), cleared) || strings.Contains(out.String(), "\n") {
			t.Errorf("the line is not empty: %q", out.String())
		}
	})
}

func TestTheBarOfAShortRunIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBar(&out)
		b.Begin("standard input")
		time.Sleep(barDelay / 2)
		b.Add(1_000_000)
		b.Stop()
		if out.Len() > 0 {
			t.Errorf("it prints %q", out.String())
		}
	})
}

func TestABarNeedsATerminal(t *testing.T) {
	b := StartBar(console.Streams{Err: &bytes.Buffer{}})
	b.Begin("x")
	b.Add(1)
	b.Stop()
	if b != nil {
		t.Error("a bar in a file")
	}
}
