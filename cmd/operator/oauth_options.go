package main

import (
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/hookserver/oauth"
)

func (o *options) oauthFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.oauth.Issuer, "hook-oauth-issuer", "",
		"accept access tokens of this issuer; the value of their claim iss, such as https://ORG.okta.com/oauth2/default")
	flags.StringVar(&o.oauth.Audience, "hook-oauth-audience", "", "audience that tokens must have; required with an issuer")
	flags.StringSliceVar(&o.oauth.ClientIDs, "hook-oauth-client-id", nil,
		"clients whose tokens are accepted; required with an issuer")
	flags.StringVar(&o.oauth.Scope, "hook-oauth-scope", "", "scope that tokens must have; required with an issuer")
	flags.StringVar(&o.oauth.ClientIDClaim, "hook-oauth-client-id-claim", oauth.DefaultClientIDClaim,
		"claim with the client: cid at Okta, azp or client_id at other issuers")
	flags.StringVar(&o.oauth.ScopeClaim, "hook-oauth-scope-claim", oauth.DefaultScopeClaim,
		"claim with the scopes: scp at Okta, scope at other issuers")
	flags.StringVar(&o.oauth.CAFile, "hook-oauth-ca-file", "",
		"PEM file with the only certificate authorities to trust for the issuer's host; read at each fetch of keys; default: the system's")
}

// usesOAuth reports whether any flag for access tokens is set. [oauth.New] then returns an error for each required one
// that is missing.
func (o *options) usesOAuth() bool {
	return o.oauth.Issuer != "" || o.oauth.Audience != "" || len(o.oauth.ClientIDs) > 0 || o.oauth.Scope != "" || o.oauth.CAFile != ""
}

// oauthOptionFlags maps the fields of [oauth.Options], which errors name, to their flags.
var oauthOptionFlags = map[string]string{
	"Issuer": "--hook-oauth-issuer", "Audience": "--hook-oauth-audience", "ClientIDs": "--hook-oauth-client-id",
	"Scope": "--hook-oauth-scope", "ClientIDClaim": "--hook-oauth-client-id-claim", "ScopeClaim": "--hook-oauth-scope-claim",
	"CAFile": "--hook-oauth-ca-file",
}
