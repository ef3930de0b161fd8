// Package informers provides the informers of each namespace: one for policies, one for the metadata of lists.
package informers
