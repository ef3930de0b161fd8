package oauth

import "time"

// What tokens may be.
const (
	// maxToken is the length of a token in bytes: Okta's have about 900, and the server's header has room for 16 kB.
	maxToken = 8 << 10
	// leeway is how far the clocks of issuer and operator may be apart, either way. Okta advises two minutes at most.
	leeway = time.Minute
	// maxClaimName is the length of a claim's name in bytes: some issuers use URLs.
	maxClaimName = 256
	// maxValue is the length of an issuer, an audience, a client id or a scope in bytes.
	maxValue = 512
	// maxClientIDs is how many clients may be named, and with them the metrics. A rotation of clients needs two.
	maxClientIDs = 8
)

// What keys may be.
const (
	// maxKeyAge is how long keys are in use after they were last fetched. An issuer that is away for longer has an outage
	// that its owner knows of; keys that it took back meanwhile must not live on for ever.
	maxKeyAge = 24 * time.Hour
	// maxKeys is how many keys an issuer may publish. Okta has two to four.
	maxKeys = 64
	// minRSA and maxRSA bound a key's modulus in bits: shorter ones are broken, longer ones cost too much to verify with.
	minRSA = 2048
	maxRSA = 8192
	// maxKeyID is the length of a key's id in bytes. Okta's have 43.
	maxKeyID = 256
)

// How keys are fetched.
const (
	// refreshEvery is the time from one fetch to the next. A key that the issuer takes back is in use that long at most.
	refreshEvery = 10 * time.Minute
	// refreshAtMost is the least time between two fetches, however many tokens with unknown keys come: strangers can make
	// any number. An issuer publishes a key before it signs with it, so that this delay is rare.
	refreshAtMost = 30 * time.Second
	// retryFirst and retryLast are the times after the first and after any later failed fetch; they double in between.
	retryFirst = time.Second
	retryLast  = time.Minute
	// fetchTimeout is the time for all documents of a fetch together. They have a few kB.
	fetchTimeout = 15 * time.Second
	// maxDocument is the length of a document of the issuer's in bytes. Okta's have 2 to 4 kB.
	maxDocument = 256 << 10
	// maxResponseHeader is the length of a response's header in bytes.
	maxResponseHeader = 64 << 10
	// maxRedirects is how many redirects on the issuer's own host are followed.
	maxRedirects = 3
	// maxQuoted is how much of what an issuer says an error shows, in bytes.
	maxQuoted = 200
	// maxFault is the length of a fault in the log and in /readyz, in bytes: a redirect may lead to a long address.
	maxFault = 600
)
