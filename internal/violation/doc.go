// Package violation explains to the author of a policy how it violates the schema: one line for each mistake, with the
// fix. No text holds the local part of an address.
package violation
