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

	"registrationpolicy.dev/operator/internal/optionerror"
)

// The claims of Okta's access tokens.
const (
	// DefaultClientIDClaim has the client's id. Other issuers have it in azp or client_id.
	DefaultClientIDClaim = "cid"
	// DefaultScopeClaim has the scopes. Other issuers have them in scope.
	DefaultScopeClaim = "scp"
)

// Options say which tokens are accepted. All but the claims' names, CAFile and Logger are required: whatever is left open would
// let others in.
type Options struct {
	// Issuer is an HTTPS URL, exactly as the tokens have it in iss: the issuer's documents are found below it.
	Issuer string
	// Audience must be the token's aud, or one of several.
	Audience string
	// ClientIDs are the clients that tokens may be issued to, at most 8.
	ClientIDs []string
	// Scope must be one of the token's scopes.
	Scope string
	// ClientIDClaim is the name of the claim with the client's id. "" means DefaultClientIDClaim.
	ClientIDClaim string
	// ScopeClaim is the name of the claim with the scopes: an array of strings, or one with spaces between them. "" means
	// DefaultScopeClaim.
	ScopeClaim string
	// CAFile has, in PEM, the authorities that alone may vouch for the issuer's host; it is read again at each fetch. ""
	// means those of the system.
	CAFile string
	// Logger takes the log lines; the zero value discards them.
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

// validate returns every fault of options that have their defaults.
func (o *Options) validate() error {
	var faults optionerror.Errors

	if err := validateIssuer(o.Issuer); err != nil {
		faults.Add("Issuer", "%w", err)
	}
	if !validValue(o.Audience) {
		faults.Add("Audience", "is required, of at most %d visible ASCII characters: Okta's default authorization server has api://default",
			maxValue)
	}
	if len(o.ClientIDs) == 0 || len(o.ClientIDs) > maxClientIDs {
		faults.Add("ClientIDs", "has %d, write 1 to %d: any client of the issuer could call otherwise", len(o.ClientIDs), maxClientIDs)
	}
	for i, id := range o.ClientIDs {
		switch {
		case !validValue(id):
			faults.Add("ClientIDs", "%q must have 1 to %d visible ASCII characters", id, maxValue)
		case slices.Contains(o.ClientIDs[:i], id):
			faults.Add("ClientIDs", "has %q twice", id)
		}
	}
	if !validValue(o.Scope) {
		faults.Add("Scope", "is required, one scope of at most %d visible ASCII characters", maxValue)
	}
	for _, claim := range []struct{ option, name string }{
		{"ClientIDClaim", o.ClientIDClaim}, {"ScopeClaim", o.ScopeClaim},
	} {
		if !validValue(claim.name) || len(claim.name) > maxClaimName {
			faults.Add(claim.option, "%q must have 1 to %d visible ASCII characters", claim.name, maxClaimName)
		}
	}
	if o.CAFile != "" {
		if _, err := readAuthorities(o.CAFile); err != nil {
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
		return fmt.Errorf("is required, of at most %d visible ASCII characters: https://ORG.okta.com/oauth2/default for example", maxValue)
	}
	parsed, err := url.Parse(issuer)
	if err != nil {
		return errors.New("is not a URL")
	}
	if parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery ||
		strings.Contains(issuer, "#") {
		return fmt.Errorf("%q: write https://, a host and a path, and nothing else", parsed.Redacted())
	}
	return refuseOrgServer(parsed)
}

// oktaHosts are the domains below which Okta's orgs have their hosts. A custom domain of an org cannot be told.
var oktaHosts = []string{"okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com", "okta.mil"}

// customServer is the path of a custom authorization server's issuer.
var customServer = regexp.MustCompile(`^/oauth2/[0-9A-Za-z]+$`)

// refuseOrgServer refuses the authorization server that is the org itself. Okta says that its access tokens are for Okta's own
// APIs, that others must not verify them, and that their form may change:
// https://developer.okta.com/docs/concepts/auth-servers/#org-authorization-server
func refuseOrgServer(issuer *url.URL) error {
	host := strings.ToLower(issuer.Hostname())
	if !slices.ContainsFunc(oktaHosts, func(domain string) bool { return strings.HasSuffix(host, "."+domain) }) {
		return nil
	}
	switch path := strings.TrimRight(issuer.Path, "/"); {
	case path == "" || path == "/oauth2" || path == "/oauth2/v1":
		return fmt.Errorf("%s is an Okta org authorization server: its access tokens are for Okta's own APIs, and nobody else can rely on "+
			"verifying them; write the issuer of a custom one (Admin Console, Security > API), such as https://%s/oauth2/default",
			issuer, issuer.Host)
	case !customServer.MatchString(issuer.Path):
		return fmt.Errorf("%s is not the issuer of an Okta authorization server; the Admin Console shows it at Security > API: "+
			"https://%s/oauth2/ID", issuer, issuer.Host)
	}
	return nil
}
