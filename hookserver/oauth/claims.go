package oauth

import (
	"slices"
	"strings"
	"time"
)

// checkClaims checks the claims against the options. It returns the client, or the cause for which a claim is refused.
func (o *Options) checkClaims(claims members, now time.Time) (client string, cause Cause) {
	// unreadable returns CauseMalformed for a claim of the wrong type, and causeIfAbsent for an absent claim.
	unreadable := func(name string, causeIfAbsent Cause) Cause {
		if _, found := claims[name]; found {
			return CauseMalformed
		}
		return causeIfAbsent
	}
	if issuer, ok := claims.text("iss"); !ok {
		return "", unreadable("iss", CauseIssuer)
	} else if issuer != o.Issuer {
		return "", CauseIssuer
	}
	if audiences, ok := claims.texts("aud"); !ok {
		return "", unreadable("aud", CauseAudience)
	} else if !slices.Contains(audiences, o.Audience) {
		return "", CauseAudience
	}
	client, ok := claims.text(o.ClientIDClaim)
	if !ok {
		return "", unreadable(o.ClientIDClaim, CauseClient)
	} else if !slices.Contains(o.ClientIDs, client) {
		return "", CauseClient
	}
	scopes, ok := claims.texts(o.ScopeClaim)
	if !ok {
		return "", unreadable(o.ScopeClaim, CauseScope)
	}
	if !slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(strings.Split(scope, " "), o.Scope) }) {
		return "", CauseScope
	}
	return client, checkTimes(claims, now)
}

func checkTimes(claims members, now time.Time) Cause {
	const leewaySeconds = float64(leeway) / float64(time.Second)
	seconds := float64(now.UnixMilli()) / 1000
	expires, found, ok := claims.numericDate("exp")
	switch {
	case !ok:
		return CauseMalformed
	case !found || seconds >= expires+leewaySeconds:
		return CauseExpired
	}
	for _, name := range []string{"nbf", "iat"} {
		notBefore, found, ok := claims.numericDate(name)
		switch {
		case !ok:
			return CauseMalformed
		case found && seconds < notBefore-leewaySeconds:
			return CauseFuture
		}
	}
	return ""
}
