package hookserver

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/rules"
)

func storeOf(policies ...rules.Policy) *rules.Store {
	snapshot, _ := rules.Compile(policies)
	store := new(rules.Store)
	store.Publish(snapshot)
	return store
}

func TestOptionsAreRefused(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no store":                {func(o *Options) { o.Store = nil }, "Store: is required"},
		"no registerer":           {func(o *Options) { o.Registerer = nil }, "Registerer: is required"},
		"no credentials":          {func(o *Options) { o.InsecureNoAuthentication = false }, "Credentials: are required"},
		"credentials for no use":  {func(o *Options) { o.Credentials = new(credentials.Files) }, "InsecureNoAuthentication: excludes"},
		"a relative path":         {func(o *Options) { o.Path = "okta" }, "Path:"},
		"a path with escapes":     {func(o *Options) { o.Path = "/a%20b" }, "Path:"},
		"a relative health path":  {func(o *Options) { o.HealthPath, o.Ready = "healthz", always }, `HealthPath: "healthz" must begin with /`},
		"health on the hook":      {func(o *Options) { o.HealthPath, o.Ready = DefaultPath, always }, "HealthPath: \"/okta/registration\" is the path"},
		"health beside the hook":  {func(o *Options) { o.HealthPath, o.Ready = "/okta//registration/", always }, "is the path of the hook"},
		"health of nobody knows":  {func(o *Options) { o.HealthPath = "/healthz" }, "Ready: is required"},
		"a header with a space":   {func(o *Options) { o.AuthHeader = "a b" }, "AuthHeader:"},
		"a header in use":         {func(o *Options) { o.AuthHeader = "content-type" }, "AuthHeader: Content-Type is reserved"},
		"an attribute twice":      {func(o *Options) { o.AddressAttributes = []string{"email", "email"} }, `has "email" twice`},
		"an attribute's path":     {func(o *Options) { o.AddressAttributes = []string{"a.b"} }, `"a.b" is not`},
		"too many attributes":     {func(o *Options) { o.AddressAttributes = strings.Split("a,b,c,d,e,f,g,h,i,j,k", ",") }, "at most 10"},
		"a text of two lines":     {func(o *Options) { o.Texts.Invalid = "a\nb" }, "Texts.Invalid:"},
		"a text on blanks of two": {func(o *Options) { o.Texts.Blank = "a\nb" }, "Texts.Blank:"},
		"a text with markup":      {func(o *Options) { o.Texts.NotAllowed = "<b>" }, "Texts.NotAllowed:"},
		"a text too long":         {func(o *Options) { o.Texts.Unavailable = strings.Repeat("a", 1001) }, "Texts.Unavailable:"},
		"a word for LogDomain":    {func(o *Options) { o.LogDomain = "often" }, `LogDomain: "often"`},
		"a negative bound":        {func(o *Options) { o.MaxInFlight = -1 }, "MaxInFlight:"},
	} {
		t.Run(sentence, func(t *testing.T) {
			options := Options{
				Store: new(rules.Store), InsecureNoAuthentication: true, Registerer: prometheus.NewPedanticRegistry(),
			}
			test.change(&options)
			if _, err := New(options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	options := Options{Store: new(rules.Store), InsecureNoAuthentication: true, Registerer: prometheus.NewPedanticRegistry()}
	if _, err := New(options); err != nil {
		t.Fatal(err)
	}
	if _, err := New(options); err == nil {
		t.Error("two servers count into one registry")
	}
}
