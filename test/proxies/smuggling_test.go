package proxies

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

// bystanders is the number of other callers after each attack. Each has its own connection, so that the proxy uses all
// its connections to the operator again, also that of the attack.
const bystanders = 4

func TestASmuggledRequestGetsNothingAndHarmsNobody(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		operator := startReplica(t)
		proxy := Start(t, kind, Options{Backends: []string{operator.hook}})
		load := startLoad(t, proxy, 1)
		var attackers sync.WaitGroup
		places := make(chan struct{}, callers) // limits concurrent attacks
		for name, text := range attacks() {
			places <- struct{}{}
			attackers.Go(func() {
				defer func() { <-places }()
				connection, err := dial(t, proxy, rawPatience)
				if got := exchange(t, connection, err, text); allows(got) {
					t.Errorf("%s: allowed:\n%s", name, got)
				}
				for i := range bystanders {
					body, want := person(i)
					answer := through(t, proxy, post(body, "Authorization: "+credential))
					if !strings.Contains(answer, want) || statusOf(t, answer) != http.StatusOK {
						t.Errorf("%s: the next caller got, instead of %s:\n%s", name, want, answer)
					}
				}
			})
		}
		attackers.Wait()
		load.stop(t)
		honest := load.count() + len(attacks())*bystanders
		decided := func() int { return operator.decided("ALLOW") + operator.decided("DENY") }
		fixture.Await(t, "all honest calls in the log", func() bool { return decided() >= honest })
		if got := decided(); got != honest {
			t.Errorf("%d calls were decided, and %d made: some were smuggled, or swallowed", got, honest)
		}
		t.Logf("%d attacks, %d honest calls", len(attacks()), honest)
	})
}

// person returns the call of the nth caller, and a text that is only in the answer to this caller.
func person(n int) (body, want string) {
	switch n % 3 {
	case 0:
		return allowedBody, `"reason":"Allowed"`
	case 1:
		return strings.ReplaceAll(allowedBody, "example.com", "elsewhere.example"), `"reason":"NotAllowed"`
	default:
		return strings.ReplaceAll(allowedBody, "@", "@@"), `"reason":"InvalidAddress"`
	}
}

func TestAnAttackOnTheOperatorItselfGetsNothing(t *testing.T) {
	t.Parallel()
	operator := startReplica(t)
	var attackers sync.WaitGroup
	places := make(chan struct{}, callers)
	for name, text := range attacks() {
		places <- struct{}{}
		attackers.Go(func() {
			defer func() { <-places }()
			if got := directly(t, operator, text); allows(got) {
				t.Errorf("%s: allowed:\n%s", name, got)
			}
		})
	}
	attackers.Wait()
	if got := operator.decided("ALLOW") + operator.decided("DENY"); got != 0 {
		t.Errorf("%d calls without a credential were decided", got)
	}
}

// directly sends a request to the operator without the proxy, and returns everything that it reads.
func directly(t *testing.T, operator *replica, text string) string {
	t.Helper()
	connection, err := dialPlainly(t, operator)
	return exchange(t, connection, err, text)
}

func TestNoOtherPathIsTheHooks(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		operator := startReplica(t)
		proxy := Start(t, kind, Options{Backends: []string{operator.hook}})
		to := func(target string) string {
			return strings.Replace(post(allowedBody, "Authorization: "+credential), "/okta/registration", target, 1)
		}
		for _, target := range otherPaths {
			got := through(t, proxy, to(target))
			status := statusOf(t, got)
			cleaned := kind == Traefik && status == http.StatusOK && meansTheHook(target) // Traefik passes on the clean path
			if status != http.StatusNotFound && status != http.StatusBadRequest && !cleaned {
				t.Errorf("%s: %d, want 404, or 400 from the proxy", target, status)
			}
			if got := directly(t, operator, to(target)); allows(got) {
				t.Errorf("%s: allowed by the operator itself", target)
			}
		}
		// Other forms of the hook's URL, which all programs understand alike.
		for _, target := range []string{
			"/okta/registration?x=y", "http://localhost/okta/registration", "https://localhost/okta/registration",
		} {
			if got := through(t, proxy, to(target)); !allows(got) {
				t.Errorf("%s: not allowed:\n%s", target, got)
			}
		}
	})
}

// meansTheHook reports whether a request target is the hook's path, once it is unescaped and without dots and empty
// segments.
func meansTheHook(target string) bool {
	unescaped, err := url.PathUnescape(target)
	return err == nil && path.Clean(unescaped) == "/okta/registration"
}

func TestASlowBodyHoldsUpNobody(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		operator := startReplica(t, "--max-in-flight", "4")
		proxy := Start(t, kind, Options{Backends: []string{operator.hook}})
		slow := make([]net.Conn, 4*callers)
		for i := range slow {
			connection, err := dial(t, proxy, rawPatience)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = connection.Close() }()
			slow[i] = connection
			whole := post(allowedBody, "Authorization: "+credential)
			if _, err := io.WriteString(slow[i], whole[:len(whole)-1]); err != nil {
				t.Fatal(err)
			}
		}
		for i := range bystanders {
			body, want := person(i)
			if got := through(t, proxy, post(body, "Authorization: "+credential)); !strings.Contains(got, want) {
				t.Errorf("beside slow bodies, instead of %s:\n%s", want, got)
			}
		}
		for i, connection := range slow {
			if answers, _ := io.ReadAll(connection); allows(string(answers)) {
				t.Errorf("slow body %d was allowed before its end: %s", i, answers)
			}
		}
	})
}
