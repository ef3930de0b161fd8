package oauth

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/internal/cafile"
	"registrationpolicy.dev/operator/internal/optionerror"
)

// Claims of Okta's access tokens.
const (
	// DefaultClientIDClaim has the client's id. Other issuers use azp or client_id.
	DefaultClientIDClaim = "cid"
	// DefaultScopeClaim is the claim with the scopes in tokens of Okta. Tokens of most other issuers have the claim scope.
	DefaultScopeClaim = "scp"
)

// Options say which tokens are accepted. Issuer, Audience, ClientIDs and Scope are required: without one of them,
// tokens for other purposes would be accepted.
type Options struct {
	// Issuer is an HTTPS URL, exactly as in the claim iss. It is also the base URL of the issuer's documents.
	Issuer string
	// Audience must be in the claim aud.
	Audience string
	// ClientIDs are the accepted clients, at most 8.
	ClientIDs []string
	// Scope must be one of the token's scopes.
	Scope string
	// ClientIDClaim is the name of the claim with the client's id. "" means DefaultClientIDClaim.
	ClientIDClaim string
	// ScopeClaim is the name of the claim with the scopes: an array of strings, or a string separated by spaces. ""
	// means DefaultScopeClaim.
	ScopeClaim string
	// CAFile is a PEM file of the CAs to trust for the issuer's host instead of the system's. It is read at each fetch.
	// "" means the system's.
	CAFile string
	// Logger receives the log lines; the zero value discards them.
	Logger logr.Logger

	timeout time.Duration // of a fetch; 0 means fetchTimeout
}

func (o *Options) setDefaults() {
	if o.ClientIDClaim == "" {
		o.ClientIDClaim = DefaultClientIDClaim
	}
	if o.ScopeClaim == "" {
		o.ScopeClaim = DefaultScopeClaim
	}
	if o.timeout == 0 {
		o.timeout = fetchTimeout
	}
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
}

// validate returns an error that names every invalid option. It must be called after setDefaults.
func (o *Options) validate() error {
	var faults optionerror.Errors

	if err := validateIssuer(o.Issuer); err != nil {
		faults.Add("Issuer", "%w", err)
	}
	if !validValue(o.Audience) {
		faults.Add("Audience", "is required, with at most %d visible ASCII characters: write the tokens' aud, "+
			"such as api://default of Okta's default authorization server", maxValue)
	}
	if len(o.ClientIDs) == 0 || len(o.ClientIDs) > maxClientIDs {
		faults.Add("ClientIDs", "is required, with 1 to %d client ids; it has %d", maxClientIDs, len(o.ClientIDs))
	}
	for i, id := range o.ClientIDs {
		switch {
		case !validValue(id):
			faults.Add("ClientIDs", "%q must have 1 to %d visible ASCII characters", id, maxValue)
		case slices.Contains(o.ClientIDs[:i], id):
			faults.Add("ClientIDs", "has %q twice: write it once", id)
		}
	}
	if !validValue(o.Scope) {
		faults.Add("Scope", "is required: write one scope, of at most %d visible ASCII characters", maxValue)
	}
	for _, claim := range []struct{ option, name string }{
		{"ClientIDClaim", o.ClientIDClaim}, {"ScopeClaim", o.ScopeClaim},
	} {
		if !validValue(claim.name) || len(claim.name) > maxClaimName {
			faults.Add(claim.option, "%q must have 1 to %d visible ASCII characters", claim.name, maxClaimName)
		}
	}
	if o.CAFile != "" {
		if _, err := cafile.Read(o.CAFile); err != nil {
			faults.Add("CAFile", "%w", err)
		}
	}
	return faults.Err()
}

func validValue(value string) bool {
	return value != "" && len(value) <= maxValue && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' })
}

func validateIssuer(issuer string) error {
	if !validValue(issuer) {
		return fmt.Errorf("is required, with at most %d visible ASCII characters: write it as the tokens' iss has it, "+
			"such as https://ORG.okta.com/oauth2/default", maxValue)
	}
	parsed, err := url.Parse(issuer)
	if err != nil {
		return errors.New("is not a URL: write https://, a host and a path")
	}
	if parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery ||
		strings.Contains(issuer, "#") {
		return fmt.Errorf("%q: write https://, a host and a path, and nothing else", parsed.Redacted())
	}
	return refuseOrgServer(parsed)
}

// oktaHosts are the domains of Okta's orgs. refuseOrgServer checks only issuers in these domains. It accepts issuers
// with any other host, even the org authorization server of an org with a custom domain.
var oktaHosts = []string{"okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com", "okta.mil"}

// customServer matches the path of a custom authorization server's issuer.
var customServer = regexp.MustCompile(`^/oauth2/[0-9A-Za-z]+$`)

// refuseOrgServer returns an error for an Okta org authorization server. According to Okta, its access tokens are for
// Okta's own APIs, others must not verify them, and their format may change; see the page
// https://developer.okta.com/docs/concepts/auth-servers/#org-authorization-server
func refuseOrgServer(issuer *url.URL) error {
	host := strings.ToLower(issuer.Hostname())
	if !slices.ContainsFunc(oktaHosts, func(domain string) bool { return strings.HasSuffix(host, "."+domain) }) {
		return nil
	}
	switch path := strings.TrimRight(issuer.Path, "/"); {
	case path == "" || path == "/oauth2" || path == "/oauth2/v1":
		return fmt.Errorf("%s is an Okta org authorization server, whose access tokens only Okta's own APIs can verify: "+
			"write the issuer of a custom one (Admin Console, Security > API), such as https://%s/oauth2/default",
			issuer, issuer.Host)
	case !customServer.MatchString(issuer.Path):
		return fmt.Errorf("%s is not the issuer of an Okta authorization server: write https://%s/oauth2/ID, "+
			"as the Admin Console shows it at Security > API", issuer, issuer.Host)
	}
	return nil
}
