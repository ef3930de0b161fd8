package controllers

import (
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/test/tcpproxy"
)

// startProxy returns a proxy before the API server of a configuration, and the configuration of a client that goes through it.
func startProxy(t *testing.T, config *rest.Config) (*tcpproxy.Proxy, *rest.Config) {
	t.Helper()
	proxy := tcpproxy.Start(t, strings.Trim(strings.TrimPrefix(config.Host, "https:"), "/"))
	through := rest.CopyConfig(config)
	through.Host = "https://" + proxy.Addr()
	return proxy, through
}
