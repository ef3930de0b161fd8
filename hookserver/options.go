package hookserver

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http/httpguts"

	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/hookserver/oauth"
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/rules"
)

// Defaults of Options.
const (
	// DefaultPath is the hook's path.
	DefaultPath = "/okta/registration"
	// DefaultAuthHeader is the header in which Okta sends its credential.
	DefaultAuthHeader = "Authorization"
)

// DefaultAddressAttributes returns the default of Options.AddressAttributes.
func DefaultAddressAttributes() []string { return []string{"email", "login"} }

// Options configure a Server.
type Options struct {
	// Store has the rules. Required.
	Store *rules.Store
	// Credentials are the accepted values of AuthHeader. Required unless OAuth or InsecureNoAuthentication is set.
	Credentials *credentials.Files
	// OAuth verifies tokens in the header Authorization. If it is nil, a token is compared like any other value.
	OAuth *oauth.Verifier
	// InsecureNoAuthentication answers calls without a credential. It excludes Credentials and OAuth.
	InsecureNoAuthentication bool
	// Registerer registers the metrics. Required.
	Registerer prometheus.Registerer
	// Logger receives the log lines; the zero value discards them.
	Logger logr.Logger
	// DecisionLog writes the lines of decisions in place of Logger, if Logger is enabled. nil means Logger.
	DecisionLog *DecisionLog

	// Path is the hook's path; all others are answered 404. "" means DefaultPath.
	Path string
	// HealthPath is a path for the health checks of load balancers. GET and HEAD are answered without authentication: 200
	// while Ready returns true, else 503. "" means that there is none.
	HealthPath string
	// Ready reports whether this replica should get calls. Required with HealthPath. It must be fast: the server calls it
	// for each health check, and anyone can send many.
	Ready func() bool
	// AuthHeader is the name of the header with the credential, in upper or lower case. "" means DefaultAuthHeader. With
	// OAuth and without Credentials it is ignored.
	AuthHeader string
	// AddressAttributes are the attributes of Okta's user profile that hold addresses; the first is required in a
	// sign-up. Empty means DefaultAddressAttributes.
	AddressAttributes []string
	// Texts are the built-in texts for a denied person. An empty field means that of rules.DefaultTexts.
	Texts rules.Texts
	// LogDomain says which log lines have the address's domain. "" means LogDomainDenied.
	LogDomain LogDomain
	// Observe answers every readable, authenticated call with ALLOW, and records the decision of the policies.
	Observe bool
	// Fenced is called before each decision is written. If it returns true, the answer is 503 instead: the operator
	// returns true while this replica may have outdated rules. nil means false.
	Fenced func() bool
	// MaxInFlight is how many calls are decided at once; others are answered 503. 0 means 256.
	MaxInFlight int
}

// LogDomain says which log lines have the address's domain.
type LogDomain string

// The values of LogDomain.
const (
	// LogDomainAlways: every line.
	LogDomainAlways LogDomain = "always"
	// LogDomainDenied: the lines of denied calls.
	LogDomainDenied LogDomain = "denied"
	// LogDomainNever: no line.
	LogDomainNever LogDomain = "never"
)

// withDefaults returns a copy with the defaults of unset options.
func (o Options) withDefaults() Options {
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.AuthHeader == "" || o.Credentials == nil && o.OAuth != nil {
		o.AuthHeader = DefaultAuthHeader
	}
	o.AuthHeader = http.CanonicalHeaderKey(o.AuthHeader)
	if len(o.AddressAttributes) == 0 {
		o.AddressAttributes = DefaultAddressAttributes()
	}
	defaults := rules.DefaultTexts()
	for _, text := range []struct {
		set      *string
		fallback string
	}{
		{&o.Texts.NotAllowed, defaults.NotAllowed},
		{&o.Texts.Invalid, defaults.Invalid},
		{&o.Texts.Unavailable, defaults.Unavailable},
		{&o.Texts.Blank, defaults.Blank},
	} {
		if *text.set == "" {
			*text.set = text.fallback
		}
	}
	if o.LogDomain == "" {
		o.LogDomain = LogDomainDenied
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	return o
}

// validate returns an error that names every invalid option. It expects the result of withDefaults.
func (o Options) validate() error {
	var faults optionerror.Errors

	if o.Store == nil {
		faults.Add("Store", "is required")
	}
	if o.Registerer == nil {
		faults.Add("Registerer", "is required")
	}
	switch {
	case o.Credentials == nil && o.OAuth == nil && !o.InsecureNoAuthentication:
		faults.Add("Credentials", "are required without OAuth and InsecureNoAuthentication")
	case (o.Credentials != nil || o.OAuth != nil) && o.InsecureNoAuthentication:
		faults.Add("InsecureNoAuthentication", "excludes Credentials and OAuth")
	}
	if !validPath(o.Path) {
		faults.Add("Path", "%q must begin with / and have only letters, digits and -._~/", o.Path)
	}
	o.addHealthFaults(&faults)
	if !httpguts.ValidHeaderFieldName(o.AuthHeader) {
		faults.Add("AuthHeader", "%q is not the name of a header: write letters, digits and hyphens, such as X-Registration-Hook-Key", o.AuthHeader)
	} else if slices.Contains(reservedHeaders, o.AuthHeader) {
		faults.Add("AuthHeader", "%s is reserved for another purpose: write another, such as X-Registration-Hook-Key", o.AuthHeader)
	}
	o.addAnswerFaults(&faults)
	switch o.LogDomain {
	case LogDomainAlways, LogDomainDenied, LogDomainNever:
	default:
		faults.Add("LogDomain", "%q: write always, denied or never", o.LogDomain)
	}
	if o.MaxInFlight < 0 {
		faults.Add("MaxInFlight", "%d is negative: write 0 for the default, or a positive number", o.MaxInFlight)
	}
	return faults.Err()
}

// addHealthFaults adds the faults of the options for health checks.
func (o Options) addHealthFaults(faults *optionerror.Errors) {
	switch {
	case o.HealthPath == "":
		return
	case !validPath(o.HealthPath):
		faults.Add("HealthPath", "%q must begin with / and have only letters, digits and -._~/", o.HealthPath)
	case path.Clean(o.HealthPath) == path.Clean(o.Path): // a proxy may treat both as the same path
		faults.Add("HealthPath", "%q is the path of the hook: write another, such as /healthz", o.HealthPath)
	}
	if o.Ready == nil {
		faults.Add("Ready", "is required with HealthPath")
	}
}

// addAnswerFaults adds the faults of the options that affect the answer.
func (o Options) addAnswerFaults(faults *optionerror.Errors) {
	if len(o.AddressAttributes) > maxAddressAttributes {
		faults.Add("AddressAttributes", "has %d attributes: write at most %d", len(o.AddressAttributes), maxAddressAttributes)
	}
	for i, name := range o.AddressAttributes {
		if !validAttribute(name) {
			faults.Add("AddressAttributes", "%q is not the variable name of an attribute in Okta: write it as the Profile Editor has it, such as email", name)
		}
		if slices.Contains(o.AddressAttributes[:i], name) {
			faults.Add("AddressAttributes", "has %q twice: write it once", name)
		}
	}
	for _, text := range []struct{ name, text string }{
		{"Texts.NotAllowed", o.Texts.NotAllowed},
		{"Texts.Invalid", o.Texts.Invalid},
		{"Texts.Unavailable", o.Texts.Unavailable},
		{"Texts.Blank", o.Texts.Blank},
	} {
		if !validText(text.text) {
			faults.Add(text.name, "must be one line of UTF-8 of at most %d bytes, without control characters and <", maxText)
		}
	}
}

// reservedHeaders cannot be AuthHeader: net/http or this server uses them for another purpose.
var reservedHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", requestIDHeader,
}

func validPath(path string) bool {
	return strings.HasPrefix(path, "/") && strings.Trim(path, asciiLetters+asciiDigits+"-._~/") == ""
}

func validAttribute(name string) bool {
	return name != "" && len(name) <= maxAttributeName && strings.Trim(name, asciiLetters+asciiDigits+"_") == ""
}

func validText(text string) bool {
	return len(text) <= maxText && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r == '<' || 0x7f <= r && r <= 0x9f || r == '\u2028' || r == '\u2029'
	})
}

const (
	asciiLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	asciiDigits  = "0123456789"
)
