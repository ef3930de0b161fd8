package proxies

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"registrationpolicy.dev/operator/test/fixture"
)

// streams returns HTTP/2 requests by a description. The proxies translate them to HTTP/1.1 for the operator, where they
// might become other requests.
func streams() map[string]stream {
	ended := "0\r\n\r\n" + hidden
	of := func(body string, pairs ...string) stream {
		s := stream{body: body}
		for i := 0; i < len(pairs); i += 2 {
			s.fields = append(s.fields, hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		return s
	}
	return map[string]stream{
		"a length that is too short":      of(hidden, "content-length", "0"),
		"a length that is too long":       of(allowedBody, "content-length", "1000"),
		"two lengths":                     of(allowedBody, "content-length", "0", "content-length", "117"),
		"chunks":                          of(ended, "transfer-encoding", "chunked"),
		"chunks by capitals":              of(ended, "Transfer-Encoding", "chunked"),
		"chunks by a line end in a value": of(ended, "x", "x\r\nTransfer-Encoding: chunked"),
		"chunks by a line feed":           of(ended, "x", "x\nTransfer-Encoding: chunked"),
		"chunks by a name":                of(ended, "x: x\r\ntransfer-encoding", "chunked"),
		"chunks by a carriage return":     of(ended, "x", "x\rTransfer-Encoding: chunked"),
		"a NUL":                           of(ended, "x", "x\x00y"),
		"a colon in a name":               of(ended, "transfer-encoding:", "chunked"),
		"a space in a name":               of(ended, "transfer-encoding ", "chunked"),
		"a connection header":             of(ended, "connection", "keep-alive, content-length"),
		"an upgrade":                      of(ended, "upgrade", "h2c", "http2-settings", "AAMAAABk"),
		"another host":                    of(allowedBody, "host", "elsewhere.example"),
		"a second path":                   of(allowedBody, ":path", "/okta/registration"),
		"a late method":                   of(allowedBody, "x", "y", ":method", "GET"),
		"a path of two requests":          {path: "/okta/registration HTTP/1.1\r\nX: ", body: hidden},
		"a path with a space":             {path: "/okta/registration HTTP/1.1", body: hidden},
		"a method of two requests":        {method: "POST /okta/registration HTTP/1.1\r\nX:", body: hidden},
		"a credential in a value":         of(allowedBody, "x", "x\r\nAuthorization: "+credential),
		"a wrong credential first":        of(allowedBody, "authorization", "Basic d3Jvbmc6d3Jvbmc=", "authorization", credential),
		"a wrong credential last":         of(allowedBody, "authorization", credential, "authorization", "Basic d3Jvbmc6d3Jvbmc="),
	}
}

// stream is an HTTP/2 request. If method and path are unset, they are those of a call.
type stream struct {
	method, path string
	fields       []hpack.HeaderField
	body         string
}

// open sends the stream on a new connection, and returns the bodies of all answers.
func open(t *testing.T, proxy *Proxy, s stream) string {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{
		RootCAs: proxy.CAs(), ServerName: "localhost", NextProtos: []string{http2.NextProtoTLS}, MinVersion: tls.VersionTLS12,
	}}
	connection, err := dialer.DialContext(t.Context(), "tcp", proxy.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(rawPatience)); err != nil {
		t.Fatal(err)
	}

	var head, sent bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: cmp.Or(s.method, http.MethodPost)},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: cmp.Or(s.path, "/okta/registration")},
		{Name: "content-type", Value: "application/json"},
	}, s.fields...) {
		_ = encoder.WriteField(field) // cannot fail, because it writes to memory
	}
	sent.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&sent, connection)
	_ = framer.WriteSettings() // cannot fail, like the next two
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true})
	_ = framer.WriteData(1, true, []byte(s.body))
	_, _ = connection.Write(sent.Bytes()) // fails if the request is refused before its end

	var bodies strings.Builder
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return bodies.String()
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			bodies.Write(frame.Data())
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return bodies.String()
		}
		if flags := frame.Header(); flags.StreamID == 1 && flags.Flags.Has(http2.FlagDataEndStream) {
			return bodies.String()
		}
	}
}

func TestARequestOverHTTP2CannotBecomeAnother(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		operator := startReplica(t)
		proxy := Start(t, kind, Options{Backends: []string{operator.hook}})
		right := stream{body: allowedBody, fields: []hpack.HeaderField{{Name: "authorization", Value: credential}}}
		if got := open(t, proxy, right); !allows(got) {
			t.Fatalf("a call over HTTP/2 is not allowed: %q", got)
		}
		honest := 1
		for name, attack := range streams() {
			if got := open(t, proxy, attack); allows(got) {
				t.Errorf("%s: allowed", name)
			}
			for i := range bystanders {
				body, want := person(i)
				honest++
				if got := through(t, proxy, post(body, "Authorization: "+credential)); !strings.Contains(got, want) {
					t.Errorf("%s: the next caller got, instead of %s:\n%s", name, want, got)
				}
			}
		}
		decided := func() int { return operator.decided("ALLOW") + operator.decided("DENY") }
		fixture.Await(t, "all honest calls in the log", func() bool { return decided() >= honest })
		if got := decided(); got != honest {
			t.Errorf("%d calls were decided, and %d made: some were smuggled", got, honest)
		}
	})
}
