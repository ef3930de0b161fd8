// Command opa answers the hook with Open Policy Agent's library: a prepared query of policy.rego behind net/http. It
// compares the credential, but checks the call no further than the policy does, and writes no log and no metrics.
package main

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"registrationpolicy.dev/operator/bench/mix"
	"registrationpolicy.dev/operator/bench/programs"
)

//go:embed policy.rego
var policy string

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "opa:", err)
		os.Exit(1)
	}
}

func run() error {
	allowed, denied := map[string]any{}, map[string]any{}
	for name, domains := range mix.Allowed() {
		for _, domain := range domains {
			allowed[domain] = map[string]any{name: true}
		}
	}
	for _, domain := range mix.Denied() {
		denied[domain] = true
	}
	data := inmem.NewFromObjectWithOpts(map[string]any{"allowed": allowed, "denied": denied}, inmem.OptReturnASTValuesOnRead(true))
	query, err := rego.New(
		rego.Query("data.registration.allow"), rego.Module("policy.rego", policy), rego.Store(data),
	).PrepareForEval(context.Background())
	if err != nil {
		return err
	}
	return programs.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, query) }))
}

const (
	allow = `{"commands":[{"type":"com.okta.action.update","value":{"registration":"ALLOW"}}]}`
	deny  = `{"commands":[{"type":"com.okta.action.update","value":{"registration":"DENY"}}],` +
		`"error":{"errorSummary":"` + mix.Message + `","errorCauses":[{"errorSummary":"` + mix.Message + `",` +
		`"reason":"EMAIL_NOT_ALLOWED","locationType":"body","location":"data.userProfile.email","domain":"end-user"}]}}`
)

func answer(w http.ResponseWriter, r *http.Request, query rego.PreparedEvalQuery) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(mix.Credential)) != 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var input any
	if err := json.NewDecoder(r.Body).Decode(&input); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	results, err := query.Eval(r.Context(), rego.EvalInput(input))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if results.Allowed() {
		_, _ = w.Write([]byte(allow)) // an error means that the caller has closed the connection
		return
	}
	_, _ = w.Write([]byte(deny))
}
