package main

import (
	"net/http/httptest"
	"testing"
)

func TestARequestIsCountedAsTheAPIServerNamesIt(t *testing.T) {
	for _, c := range []struct {
		method, url string
		want        request
	}{
		{"GET", "/api/v1/namespaces/team/configmaps?limit=500", request{verb: "list", resource: "configmaps", namespace: "team"}},
		{"GET", "/api/v1/namespaces/team/configmaps?watch=true", request{verb: "watch", resource: "configmaps", namespace: "team"}},
		{
			"GET", "/apis/registrationpolicy.dev/v1alpha1/namespaces/team/registrationpolicies?sendInitialEvents=true&watch=true",
			request{verb: "watch-list", resource: "registrationpolicies", namespace: "team"},
		},
		{
			"PATCH", "/apis/registrationpolicy.dev/v1alpha1/namespaces/team/registrationpolicies/acme/status?fieldManager=x",
			request{verb: "patch", resource: "registrationpolicies/status", namespace: "team"},
		},
		{
			"GET", "/apis/coordination.k8s.io/v1/namespaces/own/leases/one",
			request{verb: "get", resource: "leases", namespace: "own"},
		},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/own/leases/one", request{verb: "update", resource: "leases", namespace: "own"}},
		{"POST", "/apis/events.k8s.io/v1/namespaces/own/events", request{verb: "create", resource: "events", namespace: "own"}},
		{"DELETE", "/api/v1/namespaces/own/pods/one", request{verb: "delete", resource: "pods", namespace: "own"}},
		{"DELETE", "/api/v1/namespaces/own/pods", request{verb: "deletecollection", resource: "pods", namespace: "own"}},
		{"GET", "/api/v1/configmaps", request{verb: "list", resource: "configmaps"}},
		{"GET", "/api/v1/namespaces", request{verb: "list", resource: "namespaces"}},
		{"GET", "/api/v1/namespaces/team", request{verb: "get", resource: "namespaces"}},
		{"GET", "/readyz", request{verb: "get", resource: "/readyz"}},
	} {
		if got := parseRequest("", httptest.NewRequest(c.method, c.url, nil)); got != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.method, c.url, got, c.want)
		}
	}
}
