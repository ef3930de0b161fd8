package oauth

import (
	"slices"
	"strings"
	"time"
)

// check compares the claims with the options at a time. It returns the client, and a cause if a claim is not as it must be.
func (o *Options) check(claims members, now time.Time) (client string, cause Cause) {
	malformed := func(name string, missing Cause) Cause {
		if _, found := claims[name]; found {
			return CauseMalformed
		}
		return missing
	}
	if issuer, ok := claims.text("iss"); !ok {
		return "", malformed("iss", CauseIssuer)
	} else if issuer != o.Issuer {
		return "", CauseIssuer
	}
	if audiences, ok := claims.texts("aud"); !ok {
		return "", malformed("aud", CauseAudience)
	} else if !slices.Contains(audiences, o.Audience) {
		return "", CauseAudience
	}
	client, ok := claims.text(o.ClientIDClaim)
	if !ok {
		return "", malformed(o.ClientIDClaim, CauseClient)
	} else if !slices.Contains(o.ClientIDs, client) {
		return "", CauseClient
	}
	scopes, ok := claims.texts(o.ScopeClaim)
	if !ok {
		return "", malformed(o.ScopeClaim, CauseScope)
	}
	if !slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(strings.Split(scope, " "), o.Scope) }) {
		return "", CauseScope
	}
	return client, checkTimes(claims, now)
}

func checkTimes(claims members, now time.Time) Cause {
	const margin = float64(leeway) / float64(time.Second)
	seconds := float64(now.UnixMilli()) / 1000
	expires, found, ok := claims.seconds("exp")
	switch {
	case !ok:
		return CauseMalformed
	case !found || seconds >= expires+margin:
		return CauseExpired
	}
	for _, name := range []string{"nbf", "iat"} {
		begins, found, ok := claims.seconds(name)
		switch {
		case !ok:
			return CauseMalformed
		case found && seconds < begins-margin:
			return CauseFuture
		}
	}
	return ""
}
