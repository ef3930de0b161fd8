// Package release builds a release and installs from it what a user would: the image, the chart, the manifests and the
// archives of regpol. It is a module of its own, because the operator does not need the libraries for images.
package release
