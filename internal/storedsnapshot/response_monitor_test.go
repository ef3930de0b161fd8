package storedsnapshot

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

const (
	policiesPath = "/apis/registrationpolicy.dev/v1alpha1/namespaces/own/registrationpolicies"
	listsPath    = "/api/v1/namespaces/own/configmaps"
	streamed     = "?watch=true&sendInitialEvents=true"
)

// fakeServer is an API server that answers as the test says.
type fakeServer func(*http.Request) (*http.Response, error)

// RoundTrip answers.
func (s fakeServer) RoundTrip(request *http.Request) (*http.Response, error) { return s(request) }

// slowly yields one byte after each pause, and then ends; "…" stands for a pause without an end.
type slowly struct {
	ctx   context.Context // the request's
	text  string
	pause time.Duration
}

// Read waits, and reads one byte.
func (s *slowly) Read(into []byte) (int, error) {
	switch {
	case s.text == "":
		return 0, io.EOF
	case strings.HasPrefix(s.text, "…"):
		s.pause = time.Hour
	}
	if !pause(s.ctx, s.pause) {
		return 0, s.ctx.Err()
	}
	n := copy(into[:1], s.text)
	s.text = s.text[n:]
	return n, nil
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// answering returns an API server that answers after a delay, with a status and a text that comes slowly.
func answering(delay time.Duration, status int, text string, between time.Duration) fakeServer {
	return func(request *http.Request) (*http.Response, error) {
		if !pause(request.Context(), delay) {
			return nil, request.Context().Err()
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(&slowly{request.Context(), text, between})}, nil
	}
}

// client makes requests as client-go does, over the transport that a ResponseMonitor watches.
type client struct {
	ctx       context.Context
	responses *ResponseMonitor
	server    fakeServer // of the next request
}

func (c *client) get(path string) error {
	config := &rest.Config{}
	c.responses.Instrument(config)
	request, err := http.NewRequestWithContext(c.ctx, http.MethodGet, "https://api.example"+path, nil)
	if err != nil {
		return err
	}
	response, err := config.WrapTransport(c.server).RoundTrip(request)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(response.Body)
	return errors.Join(err, response.Body.Close())
}

// silentFor returns how long it takes until the API server is silent; most, if it is not by then.
func silentFor(m *ResponseMonitor, most time.Duration) time.Duration {
	began := time.Now()
	for time.Since(began) < most && !m.Silent() {
		time.Sleep(checkInterval)
	}
	return time.Since(began)
}

func TestAnAPIServerIsSilentWhenItBringsNothingThatIsWaitedFor(t *testing.T) {
	const long = time.Minute
	for sentence, test := range map[string]struct {
		reads func(c *client)
		want  time.Duration // until it is silent; long: never
	}{
		"nothing was asked for yet": {func(*client) {}, silentAfter},
		"each answer takes a second": {func(c *client) {
			c.server = answering(time.Second, http.StatusOK, "{}", 0)
			for _, path := range []string{policiesPath, listsPath, listsPath + "/a", listsPath + "/b", listsPath + "/c"} {
				_ = c.get(path)
			}
		}, long},
		"an answer dribbles for 20 s": {func(c *client) {
			c.server = answering(0, http.StatusOK, strings.Repeat("x", 20), time.Second)
			_ = c.get(listsPath)
		}, long},
		"what was read is compiled for 30 s, and the next list is read then": {func(c *client) {
			c.server = answering(0, http.StatusOK, "{}", 0)
			_ = c.get(listsPath + "/a")
			pause(c.ctx, 30*time.Second)
			c.server = answering(time.Second, http.StatusOK, "{}", 0)
			_ = c.get(listsPath + "/b")
		}, long},
		"a streamed first list is complete, and its watch quiet": {func(c *client) {
			c.server = answering(0, http.StatusOK, "{"+listEnd+"}…", 10*time.Millisecond)
			_ = c.get(policiesPath + streamed)
		}, long},
		"a watch after the first list is quiet": {func(c *client) {
			c.server = answering(0, http.StatusOK, "{}", 0)
			_ = c.get(policiesPath)
			c.server = answering(0, http.StatusOK, "…", 0)
			_ = c.get(policiesPath + "?watch=true")
		}, long},
		"a list that is gone": {func(c *client) {
			c.server = answering(0, http.StatusNotFound, "{}", 0)
			_ = c.get(listsPath + "/a")
		}, long},
		"other requests are none of ours": {func(c *client) {
			c.server = answering(0, http.StatusOK, "{}", 0)
			for c.ctx.Err() == nil {
				_ = c.get("/apis/coordination.k8s.io/v1/namespaces/own/leases/x")
				pause(c.ctx, time.Second)
			}
		}, silentAfter},
		"it is frozen": {func(c *client) {
			c.server = answering(time.Hour, http.StatusOK, "{}", 0)
			_ = c.get(policiesPath + streamed)
		}, silentAfter},
		"it freezes within a streamed list": {func(c *client) {
			c.server = answering(time.Second, http.StatusOK, "xx…", time.Second)
			_ = c.get(policiesPath + streamed)
		}, 3*time.Second + silentAfter},
		"it freezes within a list": {func(c *client) {
			c.server = answering(time.Second, http.StatusOK, "xx…", time.Second)
			_ = c.get(listsPath + "/a")
		}, 3*time.Second + silentAfter},
		"it refuses connections": {func(c *client) {
			c.server = func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }
			for range 10 {
				_ = c.get(policiesPath)
				pause(c.ctx, 800*time.Millisecond)
			}
		}, silentAfter},
		"it has no etcd":             {failing(http.StatusInternalServerError), silentAfter},
		"it has too many calls":      {failing(http.StatusTooManyRequests), silentAfter},
		"it forbids everything":      {failing(http.StatusForbidden), silentAfter},
		"it has no definition of it": {failing(http.StatusNotFound), silentAfter},
		"it fails after 30 s": {func(c *client) {
			c.server = answering(0, http.StatusOK, "{}", 0)
			_ = c.get(listsPath)
			pause(c.ctx, 30*time.Second)
			failing(http.StatusInternalServerError)(c)
		}, 30*time.Second + silentAfter},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				c := &client{ctx: ctx, responses: NewResponseMonitor()}
				c.responses.start()
				var reading sync.WaitGroup
				reading.Go(func() { test.reads(c) })
				defer reading.Wait()
				defer cancel()
				if got := silentFor(c.responses, long); got < test.want || got > test.want+checkInterval {
					t.Errorf("silent after %s, want %s", got, test.want)
				}
			})
		})
	}
}

func failing(status int) func(*client) {
	return func(c *client) {
		c.server = answering(0, status, "{}", 0)
		for range 10 {
			_ = c.get(listsPath)
			pause(c.ctx, 800*time.Millisecond)
		}
	}
}

func TestAnAPIServerIsNoLongerSilentOnceItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &client{ctx: t.Context(), responses: NewResponseMonitor()}
		failing(http.StatusInternalServerError)(c)
		if !c.responses.Silent() {
			t.Fatal("not silent")
		}
		c.server = answering(0, http.StatusOK, "{}", 0)
		if err := c.get(listsPath); err != nil || c.responses.Silent() {
			t.Errorf("still silent, %v", err)
		}
		c.responses.Stop()
		c.server = answering(time.Minute, http.StatusOK, "{}", 0)
		if err := c.get(listsPath); err != nil || c.responses.Silent() || len(c.responses.pending) > 0 {
			t.Errorf("something is waited for after the end, %v", err)
		}
	})
}
