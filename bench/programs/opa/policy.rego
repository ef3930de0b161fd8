# What the policies of the mix say, in Rego: one of them must allow every address of the call, and none may deny any.
package registration

default allow := false

addresses contains lower(address) if {
	some profile in ["userProfile", "userProfileUpdate"]
	some attribute in ["email", "login"]
	address := input.data[profile][attribute]
}

domain_of(address) := parts[1] if {
	parts := split(address, "@")
	count(parts) == 2
}

allow if {
	input.eventType == "com.okta.user.pre-registration"
	some first in addresses
	some policy, _ in data.allowed[domain_of(first)]
	every address in addresses {
		data.allowed[domain_of(address)][policy]
	}
	not denied
}

denied if {
	some address in addresses
	labels := split(domain_of(address), ".")
	some i, _ in labels
	data.denied[concat(".", array.slice(labels, i, count(labels)))]
}
