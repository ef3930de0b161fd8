// Package freshness tells how current the watches of each namespace are, and brings a quiet one forward.
package freshness
