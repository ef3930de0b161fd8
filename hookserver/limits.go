package hookserver

import "time"

// What one caller may cost.
const (
	// bodyTimeout is the time for a request's body, from the end of its header: with that, it makes the 3 s that Okta waits.
	// Okta's has 2 kB and comes with the header.
	bodyTimeout = time.Second
	// refusedBodyTimeout is the time to take in the body of a request that is refused, so that the answer is not lost in a
	// reset of the connection.
	refusedBodyTimeout = 500 * time.Millisecond
	// readHeaderTimeout is the time for a request's header. Okta's has under 1 kB and comes in one piece.
	readHeaderTimeout = 2 * time.Second
	// readTimeout is the time for a request's header and body, whatever the handler does.
	readTimeout = 3 * time.Second
	// writeTimeout is the time from the end of the header to the end of the answer. Okta has left after 3 s; nothing between
	// body and answer waits, so that this bounds callers who do not take their answer.
	writeTimeout = 5 * time.Second
	// idleTimeout is how long a connection may wait for its next call. It is longer than the minute for which the
	// usual proxies keep theirs, so that it is the proxy that closes: the other way round, calls get lost.
	idleTimeout = 90 * time.Second
	// maxHeaderBytes is the length of a request's header in bytes: room for a JWT and for what proxies add. net/http
	// adds 4 kB.
	maxHeaderBytes = 16 << 10
	// maxStreams is how many calls one HTTP/2 connection may make at once: a little more than the 75 that an org makes.
	maxStreams = 100
	// maxConnections bounds the memory and the file descriptors that strangers can take: about 20 kB each. With more, those of
	// strangers go, the oldest first.
	maxConnections = 2048
	// strangerTime is the time that each connection has to show a credential before it may go for a newer one: a caller that
	// has one shows it at once, and must not go with a burst of strangers. More than maxConnections in that time wait.
	strangerTime = 200 * time.Millisecond
	// defaultMaxInFlight is how many calls are decided at once: three times the 75 that Okta lets an org make.
	// Nothing on the path waits, so that more than that means that the machine is out of breath.
	defaultMaxInFlight = 256
	// retryAfter is what a shed call is told to wait, in seconds; the least that the header can say.
	retryAfter = "1"
)

// What a log line or an answer may hold.
const (
	// maxIdentifier is the length of an id that a call may bring into the log, in bytes. Okta's have 20 to 40.
	maxIdentifier = 128
	// maxDebugContext is the length of debugContext in bytes: the System Log cuts long values.
	maxDebugContext = 1 << 10
	// maxDebugAudits is how many audit outcomes are tried: no more than that can fit.
	maxDebugAudits = 20
	// maxText is the length of a built-in text in bytes: a sentence or two in the sign-up form.
	maxText = 1000
	// maxErrorLine is the length of a line of net/http's own log, in bytes.
	maxErrorLine = 256
	// refusalLogEvery and refusalLogBurst bound the log lines about refused calls of each kind: strangers can make
	// any number.
	refusalLogEvery = 10 * time.Second
	refusalLogBurst = 5
	// maxAddressAttributes is how many address attributes may be named. Okta's own schema has three: login, email,
	// secondEmail.
	maxAddressAttributes = 10
	// maxAttributeName is the length of an attribute's name in bytes: Okta's limit is 50 characters for custom ones.
	maxAttributeName = 64
)

// What credentials may be.
const (
	// minCredential and maxCredential bound an accepted header value in bytes: shorter ones are guessed, longer ones
	// do not fit where Okta stores them.
	minCredential = 16
	maxCredential = 1024
	// maxCredentials bounds the accepted values, and with them the metrics. A rotation needs two.
	maxCredentials = 32
	// maxCredentialName is the length of a credential's name in bytes: of a key in a Kubernetes Secret.
	maxCredentialName = 253
)

// What metrics may hold.
const (
	// maxPolicySeries is how many policies have series of their own; the rest share one. Five to seven series each.
	maxPolicySeries = 200
)
