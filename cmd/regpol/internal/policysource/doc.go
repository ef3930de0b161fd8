// Package policysource reads the policies of a verb from files, a Git revision or a cluster, and the flags of the operator that
// change what they mean.
package policysource
