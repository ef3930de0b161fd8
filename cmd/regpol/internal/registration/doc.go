// Package registration builds the registration that flags describe, and has the types for what an answer shows to the
// person and sets on the user.
package registration
