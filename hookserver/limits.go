package hookserver

import "time"

// Limits of a request and a connection.
const (
	// bodyTimeout is the time for a request's body after its header. With readHeaderTimeout it makes the 3 s that Okta
	// waits. Okta's body has 2 kB and arrives with the header.
	bodyTimeout = time.Second
	// refusedBodyTimeout is the time to read the body of a refused request. If the server closed the connection with
	// unread data, TCP would reset it, and the caller could lose the answer.
	refusedBodyTimeout = 500 * time.Millisecond
	// readHeaderTimeout is the time for a request's header. Okta's has under 1 kB and arrives in one piece.
	readHeaderTimeout = 2 * time.Second
	// readTimeout is the time for a request's header and body. net/http applies it, also if the handler reads no body.
	readTimeout = 3 * time.Second
	// writeTimeout is the time from the end of the request's header to the end of the answer. The handler itself takes
	// microseconds, so only a caller that does not read its answer exceeds it. Okta waits 3 s.
	writeTimeout = 5 * time.Second
	// idleTimeout is how long a connection may be idle. It is longer than the 60 s of the usual proxies, so that the
	// proxy closes first: if the server did, a call on its way would be lost.
	idleTimeout = 90 * time.Second
	// maxHeaderBytes is the maximum length of a request's header in bytes: enough for a JWT and the headers of
	// proxies. net/http adds 4 kB.
	maxHeaderBytes = 16 << 10
	// maxStreams is the maximum number of concurrent calls of an HTTP/2 connection: a little more than the 75 calls
	// that Okta lets an org make.
	maxStreams = 100
	// maxConnections limits the memory, about 20 kB each, and the file descriptors of connections. Beyond it, the
	// oldest unauthenticated ones are closed.
	maxConnections = 2048
	// authenticationGrace is the time that a connection has to show a credential before it may be closed for a newer
	// one, so that a burst of unauthenticated connections does not evict a caller that is about to show its own. If
	// more than maxConnections arrive in that time, the others wait.
	authenticationGrace = 200 * time.Millisecond
	// defaultMaxInFlight is how many calls are decided at once: over three times the 75 that Okta lets an org make.
	// Decisions do not wait for anything, so more of them mean that the machine is overloaded.
	defaultMaxInFlight = 256
	// retryAfter is the Retry-After of a 503 in seconds: the shortest that the header can express.
	retryAfter = "1"
)

// Limits of log lines and answers.
const (
	// maxIdentifier is the length in bytes of an id from a call in the log. Okta's have 20 to 40.
	maxIdentifier = 128
	// maxDebugContext is the length of debugContext in bytes: the System Log cuts long values.
	maxDebugContext = 1 << 10
	// maxDebugAudits is how many audit outcomes are tried in debugContext: more cannot fit.
	maxDebugAudits = 20
	// maxText is the length of a built-in text in bytes: a sentence or two in the sign-up form.
	maxText = 1000
	// maxErrorLine is the length of a line of net/http's own log, in bytes.
	maxErrorLine = 256
	// logEvery and logBurst limit the lines of a limitedLog: unauthenticated callers can cause any number.
	logEvery = 10 * time.Second
	logBurst = 5
	// maxAddressAttributes is how many address attributes may be named. Okta's own schema has three: login, email,
	// secondEmail.
	maxAddressAttributes = 10
	// maxAttributeName is the length of an attribute's name in bytes. Okta's limit for custom ones is 50 characters.
	maxAttributeName = 64
)

// Limits of metrics.
const (
	// maxPolicySeries is how many policies have their own series, five to seven each. The others share one set.
	maxPolicySeries = 200
)
