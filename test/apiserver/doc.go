// Package apiserver runs etcd and kube-apiserver for tests, and has functions to write objects in it.
package apiserver
