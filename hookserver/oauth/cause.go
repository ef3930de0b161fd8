package oauth

// Cause says why a token is refused. The values are a closed set, used in metrics and log lines.
type Cause string

// The causes, in the order of the checks. The signature is verified last, so anyone can cause each of them with a
// forged token.
const (
	// CauseTooLong: the token is over 8 KiB.
	CauseTooLong Cause = "token_too_long"
	// CauseMalformed: the token is not a strictly valid signed JWT. It must have three parts in base64url, the first two
	// being JSON objects without duplicate members, and claims of the right types. Its header must not have jwk, jku,
	// x5c or x5u, which hold a key or its URL.
	CauseMalformed Cause = "token_malformed"
	// CauseCritical: the header has crit or b64, which change how the token must be read.
	CauseCritical Cause = "token_critical"
	// CauseAlgorithm: the algorithm is not RS256 or ES256, or not that of the key.
	CauseAlgorithm Cause = "token_algorithm"
	// CauseType: the header's typ is not that of an access token.
	CauseType Cause = "token_type"
	// CauseIssuer: the claim iss is missing, or is not Options.Issuer.
	CauseIssuer Cause = "token_issuer"
	// CauseAudience: the claim aud is missing, or does not have Options.Audience.
	CauseAudience Cause = "token_audience"
	// CauseClient: the claim with the client's id is missing, or its value is not in Options.ClientIDs.
	CauseClient Cause = "token_client"
	// CauseScope: the claim with the scopes is missing, or does not have Options.Scope.
	CauseScope Cause = "token_scope"
	// CauseExpired: the token has expired, or has no exp.
	CauseExpired Cause = "token_expired"
	// CauseFuture: the claim nbf or iat is in the future.
	CauseFuture Cause = "token_future"
	// CauseNoKeys: the verifier has no keys, because they were never fetched or were last fetched over a day ago.
	CauseNoKeys Cause = "token_no_keys"
	// CauseUnknownKey: the issuer does not publish the token's key. The keys are then fetched again, at a limited rate.
	CauseUnknownKey Cause = "token_unknown_key"
	// CauseSignature: the signature does not match the key.
	CauseSignature Cause = "token_signature"
)
