// Package policystatus computes the status of a policy from the compiled policy. It neither reads nor writes the API.
package policystatus
