// Package policystatus computes what the status of a policy says, from the policy as it was built. It neither reads nor
// writes the API.
package policystatus
