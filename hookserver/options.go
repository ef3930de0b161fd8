package hookserver

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http/httpguts"

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

// DefaultAddressAttributes returns the attributes of Okta's user profile that hold addresses if nothing else is said.
func DefaultAddressAttributes() []string { return []string{"email", "login"} }

// Options are what a Server is made from.
type Options struct {
	// Store has the rules. Required.
	Store *rules.Store
	// Credentials are the accepted values of AuthHeader. Required, unless there is OAuth or InsecureNoAuthentication.
	Credentials *Credentials
	// OAuth verifies tokens in the header Authorization. nil: a token is a value like any other.
	OAuth *oauth.Verifier
	// InsecureNoAuthentication answers calls without a credential. It excludes Credentials and OAuth.
	InsecureNoAuthentication bool
	// Registerer takes the metrics. Required.
	Registerer prometheus.Registerer
	// Logger takes the log lines; the zero value discards them.
	Logger logr.Logger

	// Path is the hook's path, the only one that is answered. "" means DefaultPath.
	Path string
	// AuthHeader is the name of the header with the credential, in any case. "" means DefaultAuthHeader. Without
	// Credentials it is always that.
	AuthHeader string
	// AddressAttributes are the attributes of Okta's user profile that hold addresses; the first is required in a
	// sign-up. Empty means DefaultAddressAttributes.
	AddressAttributes []string
	// Texts are the built-in sentences for a person who is turned away. An empty one means rules.DefaultTexts's.
	Texts rules.Texts
	// LogDomain says in which log lines the address's domain stands. "" means LogDomainDenied.
	LogDomain LogDomain
	// Observe answers every readable, authenticated call with ALLOW, and records what would have been decided.
	Observe bool
	// Fenced says, as each answer is about to be written, that it must not be: it is answered 503 instead. nil: never.
	Fenced func() bool
	// MaxInFlight is how many calls are decided at once; further ones are answered 503. 0 means 256.
	MaxInFlight int
}

// LogDomain says in which log lines the address's domain stands.
type LogDomain string

// The values of LogDomain.
const (
	// LogDomainAlways is every line.
	LogDomainAlways LogDomain = "always"
	// LogDomainDenied is the lines of denied calls.
	LogDomainDenied LogDomain = "denied"
	// LogDomainNever is no line.
	LogDomainNever LogDomain = "never"
)

// withDefaults returns the options with every unset one set.
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

// validate returns every fault of options that have their defaults.
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
		faults.Add("Credentials", "are required, unless there is OAuth or InsecureNoAuthentication")
	case (o.Credentials != nil || o.OAuth != nil) && o.InsecureNoAuthentication:
		faults.Add("InsecureNoAuthentication", "excludes Credentials and OAuth")
	}
	if !validPath(o.Path) {
		faults.Add("Path", "%q must begin with / and hold letters, digits and -._~/ only", o.Path)
	}
	if !httpguts.ValidHeaderFieldName(o.AuthHeader) {
		faults.Add("AuthHeader", "%q is not the name of a header: write letters, digits and hyphens, such as X-Registration-Hook-Key", o.AuthHeader)
	} else if slices.Contains(takenHeaders, o.AuthHeader) {
		faults.Add("AuthHeader", "%s has a meaning of its own: write another, such as X-Registration-Hook-Key", o.AuthHeader)
	}
	o.addAnswerFaults(&faults)
	switch o.LogDomain {
	case LogDomainAlways, LogDomainDenied, LogDomainNever:
	default:
		faults.Add("LogDomain", "%q: write always, denied or never", o.LogDomain)
	}
	if o.MaxInFlight < 0 {
		faults.Add("MaxInFlight", "%d is negative", o.MaxInFlight)
	}
	return faults.Err()
}

// addAnswerFaults adds every fault of the options that an answer depends on.
func (o Options) addAnswerFaults(faults *optionerror.Errors) {
	if len(o.AddressAttributes) > maxAddressAttributes {
		faults.Add("AddressAttributes", "has %d, at most %d are possible", len(o.AddressAttributes), maxAddressAttributes)
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

// takenHeaders are headers that net/http or this server read themselves.
var takenHeaders = []string{
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
