// Package freshness tells how current the watches of each namespace are, whether the API server lets the namespace be read, and
// brings a quiet watch forward where somebody waits for it.
package freshness
