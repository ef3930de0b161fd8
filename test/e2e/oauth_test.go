package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
	"registrationpolicy.dev/operator/test/oauthissuer"
)

// rsaBits is the length of the issuer's keys, the same as of Okta's.
const rsaBits = 2048

// withTokensOf returns the flags with which the operator accepts an issuer's tokens.
func withTokensOf(issuer *oauthissuer.Issuer) []string {
	return []string{
		"--hook-oauth-issuer", issuer.URL, "--hook-oauth-audience", oauthissuer.Audience,
		"--hook-oauth-client-id", oauthissuer.ClientID, "--hook-oauth-scope", oauthissuer.Scope,
		"--hook-oauth-ca-file", issuer.CAFile,
	}
}

// policyDirectory returns a directory with a policy that allows acme.com.
func policyDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), acmePolicy)
	return dir
}

// called makes a call with a value of the header Authorization, and returns the result.
func (op *operator) called(t *testing.T, authorization string) oktasim.Result {
	t.Helper()
	hook, err := oktasim.New(oktasim.Options{URL: op.hookURL, Credential: authorization})
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	result, err := hook.Register(t.Context(), oktasim.Registration{Email: "jo@acme.com"})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// oauthDetails has the details of /readyz about access tokens.
type oauthDetails struct {
	Ready bool
	OAuth *struct {
		Issuer     string
		Keys       int
		AgeSeconds *float64
		Error      string
	}
}

func (op *operator) oauthDetails(t *testing.T) oauthDetails {
	t.Helper()
	_, body, err := op.get(op.metricsURL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	var details oauthDetails
	if err := json.Unmarshal([]byte(body), &details); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return details
}

func TestAnOperatorStartsWhileTheIssuerIsAwayAndTakesTokensOnceItIsBack(t *testing.T) {
	t.Parallel()
	key := oauthissuer.RSA("k1", rsaBits)
	issuer := oauthissuer.Start(t, key)
	issuer.Away(true)
	op := startReady(t, append(withTokensOf(issuer), withDirectory(t, policyDirectory(t))...)...)
	refused := func(result string) string {
		return op.metric(t, `registration_policy_authentications_total{credential="",result="`+result+`"}`)
	}

	fixture.Await(t, "the first fetch fails", func() bool {
		details := op.oauthDetails(t)
		return details.OAuth != nil && strings.Contains(details.OAuth.Error, "status 502")
	})
	details := op.oauthDetails(t)
	if !details.Ready || details.OAuth.Issuer != issuer.URL || details.OAuth.Keys != 0 || details.OAuth.AgeSeconds != nil {
		t.Errorf("details while the issuer is away: %+v %+v", details, details.OAuth)
	}
	if got := op.called(t, credential); got.Outcome != oktasim.Registered {
		t.Errorf("with a credential: %v %v", got.Outcome, got.Faults)
	}
	if got := op.called(t, "Bearer "+issuer.Token(key)); got.Outcome == oktasim.Registered || refused("token_no_keys") != "1" {
		t.Errorf("with a token: %v, counted %q times", got.Outcome, refused("token_no_keys"))
	}
	if got := op.metric(t, "registration_policy_oauth_keys"); got != "0" {
		t.Errorf("registration_policy_oauth_keys: %q", got)
	}
	if !op.find("OAuth keys not fetched: calls with a token are refused until they are", &struct{}{}) {
		t.Error("no line says it")
	}

	issuer.Away(false)
	fixture.Await(t, "the keys are there", func() bool { return op.oauthDetails(t).OAuth.Keys == 1 })
	if details := op.oauthDetails(t); details.OAuth.AgeSeconds == nil || details.OAuth.Error != "" {
		t.Errorf("details with the issuer back: %+v", details.OAuth)
	}
	if got := op.called(t, "Bearer "+issuer.Token(key)); got.Outcome != oktasim.Registered {
		t.Errorf("with a token: %v %v", got.Outcome, got.Faults)
	}
	var decided struct{ Credential string }
	fixture.Await(t, "the line of the decision by token", func() bool {
		for line := range strings.Lines(op.log.String()) {
			if json.Unmarshal([]byte(line), &decided) == nil && decided.Credential == "oauth:"+oauthissuer.ClientID {
				return true
			}
		}
		return false
	})
	if got := op.called(t, "Bearer "+issuer.Token(oauthissuer.RSA("k1", rsaBits+8))); got.Outcome == oktasim.Registered {
		t.Error("a stranger's token is accepted")
	}
	if got := refused("token_signature"); got != "1" {
		t.Errorf("a stranger's token is counted %q times", got)
	}
}

func TestTokensAloneNeedNoDirectoryOfCredentials(t *testing.T) {
	t.Parallel()
	key := oauthissuer.EC("e1")
	issuer := oauthissuer.Start(t, key)
	op := startReady(t, append(withTokensOf(issuer), "--policy-dir", policyDirectory(t), "--drain-delay", "0s")...)
	fixture.Await(t, "the keys are there", func() bool { return op.oauthDetails(t).OAuth.Keys == 1 })
	if got := op.called(t, "Bearer "+issuer.Token(key)); got.Outcome != oktasim.Registered {
		t.Errorf("with a token: %v %v", got.Outcome, got.Faults)
	}
	if got := op.called(t, credential); got.Outcome == oktasim.Registered {
		t.Error("a credential is accepted that nobody named")
	}
}
