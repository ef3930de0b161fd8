// Package oktasim simulates Okta: it calls a registration inline hook as Okta does, and determines how Okta handles the
// answer and what the person reads, on Classic and on Identity Engine.
//
// [Registration.Call] makes a [Call]; [Hook.Post] posts it and returns a [Result]. [Read] does the same for an answer
// that is already there.
//
// The package follows Okta's documentation (https://developer.okta.com/docs/reference/registration-hook/ and the guides
// that it links to). It shares no code with the operator's server, so that tests of one against the other find
// misreadings. It was not tested against a live org; comments mark with "inferred" what the documentation does not say.
package oktasim
