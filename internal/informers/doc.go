// Package informers has the informers of each namespace: of policies, with their specs, and of names and versions of lists.
package informers
