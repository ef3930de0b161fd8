package proxies

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rawPatience is how long an attack waits for its end: a request that is taken for incomplete gets no answer.
const rawPatience = time.Second

// dial opens a raw TLS connection to the proxy.
func dial(t *testing.T, proxy *Proxy, wait time.Duration) (net.Conn, error) {
	dialer := tls.Dialer{Config: &tls.Config{
		RootCAs: proxy.CAs(), ServerName: "localhost", NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
	}}
	connection, err := dialer.DialContext(t.Context(), "tcp", proxy.Address())
	if err == nil {
		err = connection.SetDeadline(time.Now().Add(wait))
	}
	return connection, err
}

// dialPlainly opens a connection to the operator itself.
func dialPlainly(t *testing.T, operator *replica) (net.Conn, error) {
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", operator.hook)
	if err == nil {
		err = connection.SetDeadline(time.Now().Add(rawPatience))
	}
	return connection, err
}

// exchange writes a request as it stands to a new connection, and returns all that comes back.
func exchange(t *testing.T, connection net.Conn, err error, text string) string {
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = connection.Close() }()
	_, _ = io.WriteString(connection, text) // an error means that it was refused before its end
	answers, _ := io.ReadAll(connection)    // that it was taken for incomplete
	return string(answers)
}

// through returns what comes back through the proxy to a request that ends its connection.
func through(t *testing.T, proxy *Proxy, text string) string {
	t.Helper()
	connection, err := dial(t, proxy, patience)
	return exchange(t, connection, err, text)
}

// post is a request with these header lines, which ends its connection.
func post(body string, lines ...string) string {
	return fmt.Sprintf("POST /okta/registration HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"+
		"Content-Length: %d\r\n%s\r\n\r\n%s", len(body), strings.Join(lines, "\r\n"), body)
}

func allows(answers string) bool { return strings.Contains(answers, `"ALLOW"`) }

// statusOf returns the status of the first answer.
func statusOf(t *testing.T, answers string) int {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answers)), nil)
	if err != nil {
		t.Errorf("no answer: %v: %q", err, answers)
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}
