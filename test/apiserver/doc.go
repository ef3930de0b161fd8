// Package apiserver runs a kube-apiserver for tests, with a namespace for each test.
package apiserver
