// Package freshness tracks, for each namespace, how current its watches are and whether the API server lets it be read.
// It also advances a quiet watch to a version that is waited for.
package freshness
