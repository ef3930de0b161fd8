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

// rawPatience is how long a test waits for answers to an attack. A request that seems incomplete to the other side gets
// none.
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

// dialPlainly opens a connection to the operator, without the proxy and TLS.
func dialPlainly(t *testing.T, operator *replica) (net.Conn, error) {
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", operator.hook)
	if err == nil {
		err = connection.SetDeadline(time.Now().Add(rawPatience))
	}
	return connection, err
}

// exchange writes the text of a request to a new connection, and returns everything that it reads from it.
func exchange(t *testing.T, connection net.Conn, err error, text string) string {
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = connection.Close() }()
	_, _ = io.WriteString(connection, text) // fails if the request is refused before its end
	answers, _ := io.ReadAll(connection)    // ends with a timeout if the request seems incomplete
	return string(answers)
}

// through sends a request that ends its connection through the proxy, and returns everything that it reads.
func through(t *testing.T, proxy *Proxy, text string) string {
	t.Helper()
	connection, err := dial(t, proxy, patience)
	return exchange(t, connection, err, text)
}

// post returns a POST request with header lines, after which the connection is closed.
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
