// Package oktasim stands in for Okta: it calls a registration inline hook as Okta does, and says what Okta would make
// of the answer and what the person would read, on Classic and on Identity Engine.
//
// A [Registration] becomes a [Call]; a [Hook] posts it and returns a [Result]. [Read] judges an answer that one already
// has.
//
// It is a reading of its own of Okta's documentation (https://developer.okta.com/docs/reference/registration-hook/ and
// the guides around it), and shares no code with the product's server: what both got wrong alike would not show.
// Nothing here was tried against a live org; where the documentation is silent a comment says "inferred".
package oktasim
