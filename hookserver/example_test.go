package hookserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/rules"
)

// A server answers calls by the snapshot in its store. The controllers publish a new one on every change of the
// policies.
func Example() {
	snapshot, _ := rules.Compile([]rules.Policy{{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: "partners"},
		Allow:      rules.AllowRules{Domains: []string{"example.com"}},
	}})
	store := new(rules.Store)
	store.Publish(snapshot)

	// The directory of a mounted Secret: each file is an accepted value of the header Authorization.
	dir, err := os.MkdirTemp("", "credentials")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const credential = "Basic ZXhhbXBsZS1jcmVkZW50aWFs"
	if err := os.WriteFile(filepath.Join(dir, "current"), []byte(credential), 0o600); err != nil {
		log.Fatal(err)
	}
	files, err := credentials.Load(dir, logr.Discard())
	if err != nil {
		log.Fatal(err)
	}

	server, err := hookserver.New(hookserver.Options{
		Store: store, Credentials: files, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener, nil) }()

	// The part of Okta's call that a decision depends on.
	const call = `{"eventType": "com.okta.user.pre-registration", "requestType": "self.service.registration",
		"data": {"userProfile": {"email": "jo@example.com", "login": "jo@example.com"}}}`
	url := "http://" + listener.Addr().String() + hookserver.DefaultPath
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(call))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Commands     json.RawMessage
		DebugContext struct{ Reason, Policy string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	fmt.Println(string(answer.Commands))
	fmt.Println(answer.DebugContext.Reason, answer.DebugContext.Policy)

	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := <-served; err != nil {
		log.Fatal(err)
	}

	// Output:
	// 200 OK
	// [{"type":"com.okta.action.update","value":{"registration":"ALLOW"}}]
	// Allowed okta/partners
}
