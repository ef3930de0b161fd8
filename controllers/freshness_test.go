package controllers

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestFreshnessIsThatOfTheWatchThatHasBeenSilentForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f freshness
		want := func(sentence string, want float64) {
			t.Helper()
			if got := f.oldest(); got != want {
				t.Errorf("%s: %v, want %v", sentence, got, want)
			}
		}
		now := func() float64 { return float64(time.Now().Unix()) }
		want("without a watch", 0)
		first, second := f.add(), f.add()
		first()
		want("with a watch that was never proven", 0)
		begun := now()
		time.Sleep(time.Minute)
		second()
		want("with a watch that is silent", begun)
		time.Sleep(time.Minute)
		first()
		want("with both proven", now()-60)
	})
}
