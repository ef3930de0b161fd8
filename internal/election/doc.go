// Package election lets one replica lead, in a loop that never ends the process.
package election
