// Package cluster selects a cluster by flags, and words the errors of its API server with the fix.
package cluster
