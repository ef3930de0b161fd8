package oauth

// Cause says why a token is refused. The values are a closed set, used in metrics and log lines.
type Cause string

// The causes, in the order of the checks. All but CauseSignature are found before the signature is verified: they
// describe the token, and say nothing about who sent it.
const (
	// CauseTooLong: the token is over 8 KiB.
	CauseTooLong Cause = "token_too_long"
	// CauseMalformed: the token is not a signed JWT by a strict reading: three parts in base64url, of them two JSON
	// objects without duplicate members, and claims of the right types. The header must not have or refer to a key.
	CauseMalformed Cause = "token_malformed"
	// CauseCritical: the header has crit or b64, which change how the token must be read.
	CauseCritical Cause = "token_critical"
	// CauseAlgorithm: the algorithm is not RS256 or ES256, or not that of the key.
	CauseAlgorithm Cause = "token_algorithm"
	// CauseType: the header's typ is not that of an access token.
	CauseType Cause = "token_type"
	// CauseIssuer: the issuer is missing or another.
	CauseIssuer Cause = "token_issuer"
	// CauseAudience: the audience is missing or another.
	CauseAudience Cause = "token_audience"
	// CauseClient: the client is missing or another.
	CauseClient Cause = "token_client"
	// CauseScope: the scope is missing.
	CauseScope Cause = "token_scope"
	// CauseExpired: the token has expired, or has no exp.
	CauseExpired Cause = "token_expired"
	// CauseFuture: nbf or iat is in the future.
	CauseFuture Cause = "token_future"
	// CauseNoKeys: there are no keys to verify with; they were never fetched, or are too old.
	CauseNoKeys Cause = "token_no_keys"
	// CauseUnknownKey: the issuer does not publish the token's key. The keys are then fetched again, at a limited rate.
	CauseUnknownKey Cause = "token_unknown_key"
	// CauseSignature: the signature does not match the key.
	CauseSignature Cause = "token_signature"
)
