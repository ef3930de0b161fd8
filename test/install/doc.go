// Package install holds the tests of what people install: chart, kustomizations, and the pages of the manual.
package install
