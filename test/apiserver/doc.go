// Package apiserver is the kube-apiserver of tests: a namespace for each, and objects put into it.
package apiserver
