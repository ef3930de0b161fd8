package oauth

import "time"

// Limits of tokens.
const (
	// maxToken is the length of a token in bytes. Okta's have about 900; the server accepts headers of 16 kB.
	maxToken = 8 << 10
	// leeway is the tolerated difference between the clocks of issuer and operator. Okta advises two minutes at most.
	leeway = time.Minute
	// maxClaimName is the maximum length of a claim's name in bytes: some issuers use URLs.
	maxClaimName = 256
	// maxValue is the maximum length of an issuer, audience, client id or scope in bytes.
	maxValue = 512
	// maxClientIDs is the maximum number of clients. Each has a time series in the metrics, so it limits these too. A
	// rotation needs two clients.
	maxClientIDs = 8
)

// Limits of keys.
const (
	// maxKeyAge is how long keys are used after they were last fetched. It limits how long a key that the issuer has
	// withdrawn stays in use while the issuer cannot be reached.
	maxKeyAge = 24 * time.Hour
	// maxKeys is how many keys an issuer may publish. Okta has two to four.
	maxKeys = 64
	// minRSA and maxRSA are the lengths of a modulus in bits: shorter ones are insecure, longer ones too slow to
	// verify. go-jose reads no longer ones either.
	minRSA = 2048
	maxRSA = 4096
	// maxKeyID is the length of a key's id in bytes. Okta's have 43.
	maxKeyID = 256
)

// Limits of fetching keys.
const (
	// refreshInterval is the time between fetches. It is also the longest that a withdrawn key is used while the issuer
	// can be reached.
	refreshInterval = 10 * time.Minute
	// minRefreshInterval is the shortest time between fetches, however many tokens with unknown keys arrive:
	// unauthenticated callers can send any number. Valid tokens rarely wait for it: issuers publish a key before they
	// sign with it.
	minRefreshInterval = 30 * time.Second
	// minRetryDelay is the delay after the first failed fetch. It doubles with each further one, to maxRetryDelay.
	minRetryDelay = time.Second
	maxRetryDelay = time.Minute
	// fetchTimeout is the time for all documents of a fetch together. They have a few kB.
	fetchTimeout = 15 * time.Second
	// maxDocument is the length of a document from the issuer in bytes. Okta's have 2 to 4 kB.
	maxDocument = 256 << 10
	// maxResponseHeader is the length of a response's header in bytes.
	maxResponseHeader = 64 << 10
	// maxRedirects is how many redirects on the issuer's host are followed.
	maxRedirects = 3
	// maxQuoted is the length in bytes of text from the issuer in an error.
	maxQuoted = 200
	// maxFault is the length of State.Fault in bytes: the URL of a redirect may be long.
	maxFault = 600
)
