// Package policylint collects the findings about policies: what an API server refuses, what an operator does not put in
// force, and what is valid, but probably not what was meant.
package policylint
