package hookserver

import (
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

// CallOf converts a decoded call to the input of [rules.Snapshot.Decide], as a server does.
func CallOf(r *okta.Request) rules.Call { return callOf(r) }
