// Package progress says on standard error how far a long run of a verb is.
package progress
