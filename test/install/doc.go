// Package install has only tests: they install the Helm chart and the kustomizations as the manual says, and check the
// objects, the rights and the running operator.
package install
