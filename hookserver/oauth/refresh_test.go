package oauth

import (
	"testing"
	"testing/synctest"
	"time"

	"registrationpolicy.dev/operator/test/oauthissuer"
)

// The issuer of these tests speaks TLS on a real listener outside of the bubble; the time inside stands still while a
// fetch is on its way.

func TestTheLastKeysServeForADayWhileTheIssuerIsAway(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	synctest.Test(t, func(t *testing.T) {
		var log lines
		options := optionsFor(issuer)
		options.Logger = log.logger()
		v := made(t, options)
		expect(t, v, issuer.Token(key), CauseNoKeys)
		stop := running(t, v)
		time.Sleep(time.Second)
		expect(t, v, issuer.Token(key), "")

		issuer.Away(true)
		time.Sleep(maxKeyAge - 2*time.Second)
		expect(t, v, issuer.Token(key), "")
		if state := v.State(); state.Keys != 1 || state.Age != maxKeyAge-time.Second || state.Fault == "" {
			t.Errorf("after nearly a day: %+v", state)
		}
		time.Sleep(2 * time.Second)
		expect(t, v, issuer.Token(key), CauseNoKeys)
		time.Sleep(3 * maxRetryDelay)
		if state := v.State(); state.Keys != 0 || state.Age <= maxKeyAge {
			t.Errorf("after a day: %+v", state)
		}
		for message, want := range map[string]int{
			"OAuth keys fetched": 1,
			"OAuth keys not fetched: the last ones stay in use":                     1,
			"OAuth keys are too old: calls with a token are refused":                1,
			"OAuth keys not fetched: calls with a token are refused until they are": 0,
		} {
			if got := log.count(message); got != want {
				t.Errorf("%q is logged %d times, want %d", message, got, want)
			}
		}

		issuer.Away(false)
		time.Sleep(maxRetryDelay)
		expect(t, v, issuer.Token(key), "")
		if log.count("OAuth keys fetched again") != 1 || v.State().Fault != "" {
			t.Errorf("nothing tells that the issuer is back: %+v", v.State())
		}
		if got := log.count("OAuth keys fetched"); got != 2 {
			t.Errorf("the keys are the same, and were too old: logged %d times, want 2", got)
		}
		stop()
	})
}

func TestStartingWithTheIssuerAway(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	issuer.Away(true)
	synctest.Test(t, func(t *testing.T) {
		var log lines
		options := optionsFor(issuer)
		options.Logger = log.logger()
		v := made(t, options)
		stop := running(t, v)
		time.Sleep(time.Hour)
		expect(t, v, issuer.Token(key), CauseNoKeys)
		state := v.State()
		if state.Keys != 0 || state.Fetched != 0 || state.Fault == "" {
			t.Errorf("state %+v", state)
		}
		const most = uint64(time.Hour/maxRetryDelay) + 10 // the first few come faster
		if state.Failed < 10 || state.Failed > most {
			t.Errorf("%d attempts in an hour, at most %d", state.Failed, most)
		}
		if got := log.count("OAuth keys not fetched: calls with a token are refused until they are"); got != 1 {
			t.Errorf("logged %d times", got)
		}
		issuer.Away(false)
		time.Sleep(maxRetryDelay)
		expect(t, v, issuer.Token(key), "")
		stop()
	})
}

func TestEachFaultIsLoggedOnce(t *testing.T) {
	issuer := oauthissuer.Start(t, oauthissuer.RSA("k1", bits))
	var log lines
	options := optionsFor(issuer)
	options.Logger = log.logger()
	v := made(t, options)
	for logged, status := range []int{500, 503, 500} {
		issuer.Instead(keysBelow, answers(status))
		for range 2 {
			if err := v.refresh(t.Context()); err == nil {
				t.Fatal("no error")
			}
		}
		if got := log.count("OAuth keys not fetched: calls with a token are refused until they are"); got != logged+1 {
			t.Errorf("after status %d: logged %d times, want %d", status, got, logged+1)
		}
	}
}

func TestKeysAreFetchedAgainBeforeAnybodyAsks(t *testing.T) {
	old, next := oauthissuer.RSA("k1", bits), oauthissuer.RSA("k2", bits)
	issuer := oauthissuer.Start(t, old)
	synctest.Test(t, func(t *testing.T) {
		v := made(t, optionsFor(issuer))
		stop := running(t, v)
		time.Sleep(time.Second)
		issuer.Publish(next)
		time.Sleep(refreshInterval)
		expect(t, v, issuer.Token(old), CauseUnknownKey) // taken back
		expect(t, v, issuer.Token(next), "")
		stop()
	})
}

func TestAnUnknownKeyHasTheKeysFetchedAgainAtABoundedRate(t *testing.T) {
	old, next := oauthissuer.RSA("k1", bits), oauthissuer.RSA("k2", bits)
	issuer := oauthissuer.Start(t, old)
	synctest.Test(t, func(t *testing.T) {
		v := made(t, optionsFor(issuer))
		stop := running(t, v)
		time.Sleep(2 * minRefreshInterval)
		if got := issuer.Fetches(); got != 1 {
			t.Fatalf("%d fetches before anybody asked", got)
		}
		issuer.Publish(old, next)
		expect(t, v, issuer.Token(next), CauseUnknownKey)
		synctest.Wait()
		time.Sleep(time.Second)
		expect(t, v, issuer.Token(next), "") // the one refused call brought the key

		before := issuer.Fetches()
		storm := oauthissuer.Key{ID: "k9", Private: old.Private}
		token := issuer.Token(&storm)
		const minutes = 4 // less than a token lives
		for range minutes * 60 * 10 {
			expect(t, v, token, CauseUnknownKey)
			time.Sleep(time.Second / 10)
		}
		most := int(minutes*time.Minute/minRefreshInterval) + 1
		if got := issuer.Fetches() - before; got < 2 || got > most {
			t.Errorf("%d fetches in %d minutes of unknown keys, at most %d", got, minutes, most)
		}
		stop()
	})
}

func TestATokenThatIsForSomethingElseHasNothingFetched(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	v := fetched(t, oauthissuer.Start(t, key))
	other := oauthissuer.Start(t, key)
	expect(t, v, other.Token(&oauthissuer.Key{ID: "k9", Private: key.Private}), CauseIssuer)
	if len(v.refreshRequested) != 0 {
		t.Error("strangers who do not know what a token must say have the keys fetched")
	}
}
