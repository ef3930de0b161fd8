// Package informers has the informers of each namespace: policies with their specs, and names and versions of the ConfigMaps that hold lists.
package informers
