// Package proxies starts a real nginx or haproxy, configured as an Ingress controller of its kind would, in front of
// the operator. Its tests check that the operator keeps its promises when such a proxy is between it and Okta.
package proxies
