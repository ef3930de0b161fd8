// Package replicalease is the format of the Lease in which each replica reports to the leader which rules it decides by.
package replicalease
