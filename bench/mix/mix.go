// Package mix has the calls that all servers are measured with, and the policies that decide them.
package mix

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/oktasim"
)

const (
	// Credential is the value of the header Authorization.
	Credential = "Basic YmVuY2g6bm90LWEtc2VjcmV0" // bench:not-a-secret
	// Message is what a denied person reads.
	Message = "Please sign up with your company address."
)

// The size of the rules, an org with a few partners, and of the mix.
const (
	policies      = 10
	domainsOfEach = 100
	deniedDomains = 10
	addresses     = 1000
)

// Allowed returns the allowed domains of each policy.
func Allowed() map[string][]string {
	allowed := map[string][]string{}
	for i := range policies * domainsOfEach {
		name := fmt.Sprintf("policy-%d", i/domainsOfEach)
		allowed[name] = append(allowed[name], allowedDomain(i))
	}
	return allowed
}

func allowedDomain(i int) string { return fmt.Sprintf("company-%04d.example.com", i) }

// Denied returns the domains that a further policy denies, with everything below them.
func Denied() []string {
	domains := make([]string, deniedDomains)
	for i := range domains {
		domains[i] = fmt.Sprintf("denied-%d.example.net", i)
	}
	return domains
}

// Specs returns the spec of each policy.
func Specs() map[string]map[string]any {
	specs := map[string]map[string]any{"denied": {"deny": map[string]any{"domains": asAny(Denied())}, "message": Message}}
	for name, domains := range Allowed() {
		specs[name] = map[string]any{"allow": map[string]any{"domains": asAny(domains)}, "message": Message}
	}
	return specs
}

// asAny returns the texts as an array of an unstructured object.
func asAny(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}

// WritePolicies writes the policies into a directory, as the operator reads them with --policy-dir.
func WritePolicies(dir string) error {
	for name, spec := range Specs() {
		text, err := json.Marshal(map[string]any{
			"apiVersion": "registrationpolicy.dev/v1alpha1", "kind": "RegistrationPolicy",
			"metadata": map[string]any{"name": name}, "spec": spec,
		})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), text, 0o600); err != nil { // JSON is YAML
			return err
		}
	}
	return nil
}

// Call is a call of the mix.
type Call struct {
	oktasim.Call

	// Allowed says whether the policies allow it.
	Allowed bool
}

// Calls returns one call for each of 1,000 addresses: Identity Engine, Classic and progressive in turn. Of five calls
// four are allowed; the others are denied by a policy, or allowed by none.
func Calls() ([]Call, error) {
	calls := make([]Call, addresses)
	for i := range calls {
		allowed := i%5 != 4
		domain := allowedDomain(i)
		switch {
		case allowed:
		case i%2 == 0:
			domain = "mail." + Denied()[i%deniedDomains]
		default:
			domain = fmt.Sprintf("mail.elsewhere-%03d.example.org", i)
		}
		address := fmt.Sprintf("firstname.lastname%03d@%s", i, domain)
		registration := oktasim.Registration{
			Shape:     []oktasim.Shape{oktasim.SignUp, oktasim.ClassicSignUp, oktasim.ProgressiveProfile}[i%3],
			Login:     address,
			RequestID: fmt.Sprintf("reqQFcZNuvhRj2VZbngr%05d", i),
			EventID:   fmt.Sprintf("04Dmt8BcT_aEgM%05d", i),
		}
		if registration.Shape == oktasim.ProgressiveProfile {
			registration.Update = map[string]any{"email": address}
		} else {
			registration.Email = address
		}
		call, err := registration.Call()
		if err != nil {
			return nil, err
		}
		calls[i] = Call{call, allowed}
	}
	return calls, nil
}

// Request returns the HTTP/1.1 request of a call, as Okta sends it. The header X-Answer-Bytes is for the floor, and sent
// to all.
func (c Call) Request(address, credential string, answerBytes int) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Okta-Integrations\r\n"+
		"Content-Type: application/json\r\nX-Okta-Request-Id: %s\r\nAuthorization: %s\r\nX-Answer-Bytes: %d\r\n"+
		"Content-Length: %d\r\n\r\n%s", hookserver.DefaultPath, address, c.RequestID, credential, answerBytes, len(c.Body), c.Body)
}
