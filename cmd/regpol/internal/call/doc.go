// Package call is the verb call: it calls a running hook as Okta would, and reports its faults.
package call
