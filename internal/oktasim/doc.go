// Package oktasim simulates Okta: it calls a registration inline hook as Okta does, and determines how Okta handles the
// answer and what the person reads, on Classic and on Identity Engine.
//
// [Registration.Call] makes a [Call]; [Hook.Post] posts it and returns a [Result]. [Read] returns the Result of an answer
// without a call.
//
// The package follows Okta's documentation (https://developer.okta.com/docs/reference/registration-hook/ and the guides
// that it links to). It shares no code with the operator's server: a test of one against the other fails if either of
// them misreads the documentation. It was not tested against a live org. Comments mark with "inferred" what the
// documentation does not say.
package oktasim
