package main

import (
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/hookserver/oauth"
)

func (o *options) oauthFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.oauth.Issuer, "hook-oauth-issuer", "",
		"accept access tokens of this issuer, exactly as they have it in iss: https://ORG.okta.com/oauth2/default for example")
	flags.StringVar(&o.oauth.Audience, "hook-oauth-audience", "", "audience that tokens must have; required with an issuer")
	flags.StringSliceVar(&o.oauth.ClientIDs, "hook-oauth-client-id", nil,
		"clients that tokens may be issued to; required with an issuer")
	flags.StringVar(&o.oauth.Scope, "hook-oauth-scope", "", "scope that tokens must have; required with an issuer")
	flags.StringVar(&o.oauth.ClientIDClaim, "hook-oauth-client-id-claim", oauth.DefaultClientIDClaim,
		"claim with the client: cid at Okta; azp or client_id elsewhere")
	flags.StringVar(&o.oauth.ScopeClaim, "hook-oauth-scope-claim", oauth.DefaultScopeClaim,
		"claim with the scopes: scp at Okta; scope elsewhere")
	flags.StringVar(&o.oauth.CAFile, "hook-oauth-ca-file", "",
		"file with the authorities, in PEM, that alone may vouch for the issuer's host, re-read on use; default: the system's")
}

// usesOAuth says whether any flag asks for tokens: one that is set for nothing is a mistake to be told.
func (o *options) usesOAuth() bool {
	return o.oauth.Issuer != "" || o.oauth.Audience != "" || len(o.oauth.ClientIDs) > 0 || o.oauth.Scope != "" || o.oauth.CAFile != ""
}

// oauthOptionFlags are the flags that set the options of the verifier.
var oauthOptionFlags = map[string]string{
	"Issuer": "--hook-oauth-issuer", "Audience": "--hook-oauth-audience", "ClientIDs": "--hook-oauth-client-id",
	"Scope": "--hook-oauth-scope", "ClientIDClaim": "--hook-oauth-client-id-claim", "ScopeClaim": "--hook-oauth-scope-claim",
	"CAFile": "--hook-oauth-ca-file",
}
