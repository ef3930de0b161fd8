// Package proxies starts a real nginx or haproxy, configured as an Ingress controller of its kind would, in front of
// the operator. Its tests hold the operator to what it promises when such a proxy stands between it and Okta.
package proxies
