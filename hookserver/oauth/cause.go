package oauth

// Cause says why a token is not accepted. The values are a closed set: metrics and log lines have them.
type Cause string

// The causes, in the order in which they are looked for. Until the signature is verified, what a token says may be
// anybody's invention: a cause tells what is wrong with a token, not who sent it.
const (
	// CauseTooLong is a token over 8 KiB.
	CauseTooLong Cause = "token_too_long"
	// CauseMalformed is what is no signed JWT by a strict reading: three parts in base64url, two JSON objects without
	// members of one name, claims of the types that they must have. So is a header that brings or names a key of its own.
	CauseMalformed Cause = "token_malformed"
	// CauseCritical is a header with crit or b64: it asks to be read in another way.
	CauseCritical Cause = "token_critical"
	// CauseAlgorithm is another algorithm than RS256 and ES256, or than that of the key.
	CauseAlgorithm Cause = "token_algorithm"
	// CauseType is a header with a typ of something else than an access token.
	CauseType Cause = "token_type"
	// CauseIssuer is another issuer, or none.
	CauseIssuer Cause = "token_issuer"
	// CauseAudience is another audience, or none.
	CauseAudience Cause = "token_audience"
	// CauseClient is another client, or none.
	CauseClient Cause = "token_client"
	// CauseScope is a token without the scope.
	CauseScope Cause = "token_scope"
	// CauseExpired is a token whose time is over, or that has no end.
	CauseExpired Cause = "token_expired"
	// CauseFuture is a token that is not valid yet, or that was issued in the future.
	CauseFuture Cause = "token_future"
	// CauseNoKeys means that there are no keys to verify with: they were never fetched, or are too old.
	CauseNoKeys Cause = "token_no_keys"
	// CauseUnknownKey is a token whose key the issuer does not publish. It makes the keys be fetched again, at a bounded rate.
	CauseUnknownKey Cause = "token_unknown_key"
	// CauseSignature is a signature that is not that of the key.
	CauseSignature Cause = "token_signature"
)
