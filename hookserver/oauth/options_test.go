package oauth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOptionsAreRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	issuer := func(issuer string) func(*Options) { return func(o *Options) { o.Issuer = issuer } }
	const org = "is an Okta org authorization server"
	for sentence, test := range map[string]struct {
		change func(*Options)
		want   string // "" if they are fine
	}{
		"a custom authorization server":       {issuer("https://acme.okta.com/oauth2/aus1abc"), ""},
		"the default one, at a preview org":   {issuer("https://acme.oktapreview.com/oauth2/default"), ""},
		"at a custom domain":                  {issuer("https://login.acme.com/oauth2/default"), ""},
		"another product":                     {issuer("https://acme.eu.auth0.com/"), ""},
		"another port":                        {issuer("https://login.acme.com:8443/realms/acme"), ""},
		"no issuer":                           {issuer(""), "Issuer: is required"},
		"plain HTTP":                          {issuer("http://acme.okta.com/oauth2/default"), "write https://"},
		"no scheme":                           {issuer("acme.okta.com/oauth2/default"), "write https://"},
		"no host":                             {issuer("https:///oauth2/default"), "write https://"},
		"a query":                             {issuer("https://login.acme.com/?a"), "write https://"},
		"an empty query":                      {issuer("https://login.acme.com/?"), "write https://"},
		"a fragment":                          {issuer("https://login.acme.com/#"), "write https://"},
		"a password":                          {issuer("https://jo:pw@login.acme.com/"), "write https://"},
		"a blank":                             {issuer("https://login.acme.com/ "), "Issuer: is required"},
		"an org":                              {issuer("https://acme.okta.com"), org},
		"an org with a slash":                 {issuer("https://acme.okta.com/"), org},
		"an org in capitals, with a port":     {issuer("https://ACME.Okta.COM:443"), org},
		"an org's endpoints":                  {issuer("https://acme.okta.com/oauth2/v1"), org},
		"a preview org":                       {issuer("https://acme.oktapreview.com"), org},
		"an org in Europe":                    {issuer("https://acme.okta-emea.com"), org},
		"an org of a government":              {issuer("https://acme.okta-gov.com"), org},
		"an org of the military":              {issuer("https://acme.okta.mil"), org},
		"a host that only ends like an org's": {issuer("https://notokta.com"), ""},
		"a path below the issuer":             {issuer("https://acme.okta.com/oauth2/default/v1/token"), "is not the issuer of"},
		"an issuer with a slash more":         {issuer("https://acme.okta.com/oauth2/default/"), "is not the issuer of"},
		"no audience":                         {func(o *Options) { o.Audience = "" }, "Audience: is required"},
		"no client":                           {func(o *Options) { o.ClientIDs = nil }, "ClientIDs: is required, with 1 to 8 client ids; it has 0"},
		"an empty client":                     {func(o *Options) { o.ClientIDs = []string{""} }, `ClientIDs: ""`},
		"a client twice":                      {func(o *Options) { o.ClientIDs = []string{"a", "a"} }, `has "a" twice`},
		"too many clients":                    {func(o *Options) { o.ClientIDs = strings.Split("a,b,c,d,e,f,g,h,i", ",") }, "has 9"},
		"the most clients":                    {func(o *Options) { o.ClientIDs = strings.Split("a,b,c,d,e,f,g,h", ",") }, ""},
		"the longest audience":                {func(o *Options) { o.Audience = strings.Repeat("a", maxValue) }, ""},
		"an audience too long":                {func(o *Options) { o.Audience = strings.Repeat("a", maxValue+1) }, "Audience: is required"},
		"the first and last visible":          {func(o *Options) { o.Audience = "!~" }, ""},
		"an audience with a DEL":              {func(o *Options) { o.Audience = "a\x7f" }, "Audience: is required"},
		"the longest claim":                   {func(o *Options) { o.ClientIDClaim = strings.Repeat("c", maxClaimName) }, ""},
		"no scope":                            {func(o *Options) { o.Scope = "" }, "Scope: is required"},
		"two scopes":                          {func(o *Options) { o.Scope = "a b" }, "Scope: is required: write one scope"},
		"a claim with a blank":                {func(o *Options) { o.ScopeClaim = "a b" }, `ScopeClaim: "a b"`},
		"a claim too long":                    {func(o *Options) { o.ClientIDClaim = strings.Repeat("c", maxClaimName+1) }, "ClientIDClaim:"},
		"no file of authorities":              {func(o *Options) { o.CAFile = empty + ".gone" }, "CAFile:"},
		"authorities that are none":           {func(o *Options) { o.CAFile = empty }, "has no certificate"},
	} {
		t.Run(sentence, func(t *testing.T) {
			options := Options{Issuer: "https://acme.okta.com/oauth2/default", Audience: "api://default", ClientIDs: []string{"0oa"}, Scope: "s"}
			test.change(&options)
			_, err := New(options)
			if got := err != nil && test.want != "" && strings.Contains(err.Error(), test.want); !got && (err != nil || test.want != "") {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "pw") {
				t.Error("the error shows a password")
			}
		})
	}
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	_, err := New(Options{})
	for _, option := range []string{"Issuer:", "Audience:", "ClientIDs:", "Scope:"} {
		if err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%v does not name %s", err, option)
		}
	}
}
