// Package cluster selects a cluster by flags, and turns errors of its API server into sentences with the fix.
package cluster
