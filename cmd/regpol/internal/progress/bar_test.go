package progress

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

func TestTheBarShowsHowMuchWasRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, make([]byte, 4_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBar(&out)
		b.Begin(path)
		b.Add(1_000_000)
		time.Sleep(barDelay + barInterval/2)
		b.Add(3_000_000)
		time.Sleep(barInterval)
		b.Begin("stdin")
		b.Add(5_000_000)
		time.Sleep(barInterval)
		b.Stop()
		want := clearLine + path + ": [#######                       ] 1 of 4 MB" + clearLine + path + ": [" + strings.Repeat("#", barWidth) +
			"] 4 of 4 MB" + clearLine + "stdin: 5 MB" + clearLine
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBar(&out)
		time.Sleep(barDelay / 2)
		b.Stop()
		if out.Len() > 0 {
			t.Errorf("a short run prints %q", out.String())
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
