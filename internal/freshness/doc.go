// Package freshness tracks, for each namespace, how current its watches are and whether the API server lets it be read.
// If a watch has no events, it checks by a list whether the watch has nonetheless reached a wanted resourceVersion.
package freshness
