// Package informers provides the informers of each namespace: one for policies, and one for the metadata of the
// ConfigMaps that hold lists.
package informers
