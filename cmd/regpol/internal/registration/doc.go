// Package registration builds the registration that flags describe, and names what the person sees of the answer.
package registration
