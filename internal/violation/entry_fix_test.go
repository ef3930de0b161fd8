package violation

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

// An error about a file quotes the value and has the fix for that value; of an address it quotes only the part after the @.
func TestTheFixIsForTheValueAsItIsWritten(t *testing.T) {
	const allowDomain, denyDomain = "spec.allow.domains[0]", "spec.deny.domains[3]"
	const allowAddress, denyAddress = "spec.allow.addresses[0]", "spec.deny.addresses[1]"
	for _, test := range []struct{ path, value, want string }{
		{allowDomain, "acme.com.", `"acme.com." ends in a dot: write acme.com`},
		{denyDomain, ".acme.com", `".acme.com" begins with a dot: write "*.acme.com" for all subdomains of acme.com, or acme.com`},
		{allowDomain, "*acme.com", `"*acme.com" has a * that is not the whole first label: write "*.acme.com"`},
		{allowDomain, "**.acme.com", `"**.acme.com" has a * that is not the whole first label: write "*.acme.com"`},
		{allowDomain, "*.acme.com.", `"*.acme.com." ends in a dot: write "*.acme.com"`},
		{allowDomain, "acme.*", `"acme.*" has a * that is not the whole first label, as in "*.example.com": write each domain`},
		{allowDomain, "https://acme.com/login?x=1", `"https://acme.com/login?x=1" is a URL: write acme.com`},
		{allowDomain, "acme.com/", `"acme.com/" has a path: write acme.com`},
		{allowDomain, "acme.com:443", `"acme.com:443" has a port: write acme.com`},
		{allowDomain, " acme.com", `" acme.com" has a space or an invisible character: write acme.com`},
		{allowDomain, "ac\u200bme.com", ``}, // a blank inside: perhaps two words, perhaps a name
		{allowDomain, "acme..com", `"acme..com" has two dots in a row: write acme.com`},
		{allowDomain, "acme\u3002com", "\"acme\u3002com\" has a dot that is not the ASCII one: write acme.com"},
		{allowDomain, "acme.com, beta.com", `it holds several domains: write each as an item of its own`},
		{allowDomain, "192.0.2.1", `"192.0.2.1" is an IP address: write the domain after the @ of addresses`},
		{allowDomain, "acme.7", `"acme.7" ends in a number, which no domain of an address does: write a whole name such as acme.com`},
		{allowDomain, "a_b.com", `"a_b.com" has an underscore, which the domain of an address cannot have: write the part of the address after the @`},
		{allowDomain, "@acme.com", `"@acme.com" has an @, which no domain has: write acme.com`},
		{denyDomain, "*@acme.com", `"*@acme.com" has an @, which no domain has: write acme.com`},
		{denyDomain, "{local}@acme.com",
			`"…@acme.com" is an address: move it to spec.deny.addresses, or write acme.com for all of that domain`},
		{"spec.allow.publicSuffixes[0]", "co.uk.", `"co.uk." ends in a dot: write co.uk`},
		{denyAddress, "*@acme.com", `"*@acme.com" means every address of the domain: write acme.com in spec.deny.domains`},
		{allowAddress, "@acme.com", `"@acme.com" means every address of the domain: write acme.com in spec.allow.domains`},
		{allowAddress, "{local}@acme.com.", `"…@acme.com." ends in a dot: write …@acme.com`},
		{allowAddress, "Jo <{local}@acme.com>", `"…@acme.com" has a name, brackets or quotes around it: write the address alone`},
		{allowAddress, "mailto:{local}@acme.com", `"…@acme.com" begins with mailto: write the address alone`},
		{allowAddress, "{local}@acme.com ", `"…@acme.com" has a space or an invisible character: write it without`},
		{allowAddress, "{local}@{local}@acme.com", `"…@acme.com" has more than one @: write one address`},
		{allowAddress, "{local}@acme.com,jo@acme.com", `it holds several addresses: write each as an item of its own`},
		{allowAddress, "{local}", `it has no @: write a whole address; a domain goes to spec.allow.domains`},
		{allowAddress, "{local}@[192.0.2.1]", `the part after its @ ends in a number: write a domain name`},
		{allowAddress, "acme.com@{local}", ``},
		{allowDomain, "acme.com {local}", ``},
		{allowDomain, "{local} at acme.com", ``},
		{allowDomain, "{local}\uff20acme.com", ``},
		{allowDomain, "{local}%40acme.com", ``},
		{"spec.message", "acme.com.", ``},
	} {
		got := EntryFix(test.path, strings.ReplaceAll(test.value, "{local}", fixture.LocalPart))
		if got != test.want {
			t.Errorf("%s: %q:\n got %s\nwant %s", test.path, test.value, got, test.want)
		}
		if mark := fixture.HoldsLocalPart(got); mark != "" {
			t.Errorf("%s: %q: the fix holds the local part: %s", test.path, test.value, got)
		}
	}
}
