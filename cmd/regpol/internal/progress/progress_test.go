package progress

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatTakesLongSaysWhatItIsDoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := Start(&out)
		p.Step("reading standard input")
		time.Sleep(2 * time.Second)
		p.Step("writing shard 1 of 9")
		time.Sleep(2 * time.Second)
		p.Step("writing shard 2 of 9")
		time.Sleep(3 * time.Second)
		p.Stop()
		p.Stop()
		time.Sleep(time.Minute)
		const want = "regpol: writing shard 1 of 9 (3s)\nregpol: writing shard 2 of 9 (6s)\n"
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	})
}

func TestWhatIsOverSoonSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := Start(&out)
		p.Step("reading standard input")
		time.Sleep(progressInterval - time.Millisecond)
		p.Stop()
		if out.Len() > 0 {
			t.Errorf("got %s", out.String())
		}
	})
}
