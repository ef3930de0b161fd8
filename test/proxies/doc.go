// Package proxies starts a real nginx, haproxy or Traefik, configured as an Ingress controller of its kind would, in front of
// the operator. Its tests check that the operator keeps its promises when such a proxy is between it and Okta.
package proxies
