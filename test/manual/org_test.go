package manual

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	hookID    = "cal0123456789abcdefg"
	orgToken  = "00token-of-an-administrator"
	publicURL = "https://hook.example.com/okta/registration"
)

// org simulates the management API of an Okta org, as far as it is about a registration hook. It rejects requests that
// do not follow Okta's documentation. It executes a hook by calling the real operator in place of the hook's public URL.
type org struct {
	t       *testing.T
	op      *operator
	address string

	mu   sync.Mutex
	hook inlineHook
	rule map[string]any // the rule of the enrolment policy policyID
}

// inlineHook is an inline hook, as the API stores it.
type inlineHook struct {
	ID      string `json:"id,omitempty"`
	Status  string `json:"status,omitempty"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Version string `json:"version"`
	Channel struct {
		Type    string `json:"type"`
		Version string `json:"version"`
		Config  struct {
			URI        string     `json:"uri"`
			Method     string     `json:"method"`
			AuthScheme authScheme `json:"authScheme"`
		} `json:"config"`
	} `json:"channel"`
}

type authScheme struct {
	Type  string `json:"type"`
	Key   string `json:"key"`
	Value string `json:"value,omitempty"` // the API never returns it
}

func newOrg(t *testing.T, op *operator) *org {
	o := &org{t: t, op: op, rule: storedRule(t)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/policies", o.policies)
	mux.HandleFunc("GET /api/v1/policies/"+policyID+"/rules", o.rules)
	mux.HandleFunc("PUT /api/v1/policies/"+policyID+"/rules/{rule}", o.replaceRule)
	mux.HandleFunc("GET /api/v1/inlineHooks/"+hookID, func(w http.ResponseWriter, _ *http.Request) { o.answer(w) })
	mux.HandleFunc("POST /api/v1/inlineHooks", o.create)
	mux.HandleFunc("PUT /api/v1/inlineHooks/"+hookID, o.replace)
	mux.HandleFunc("POST /api/v1/inlineHooks/"+hookID+"/lifecycle/activate", o.become("ACTIVE"))
	mux.HandleFunc("POST /api/v1/inlineHooks/"+hookID+"/lifecycle/deactivate", o.become("INACTIVE"))
	mux.HandleFunc("POST /api/v1/inlineHooks/"+hookID+"/execute", o.execute)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "SSWS "+orgToken {
			http.Error(w, `{"errorCode":"E0000011"}`, http.StatusUnauthorized)
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	o.address = server.URL
	return o
}

// sends returns the header with the credential that the org sends to the hook.
func (o *org) sends() authScheme {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hook.Channel.Config.AuthScheme
}

// takeSecret changes the hook's secret, as an administrator does in the console.
func (o *org) takeSecret(secret string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hook.Channel.Config.AuthScheme.Value = strings.TrimSpace(secret)
}

func (o *org) create(w http.ResponseWriter, r *http.Request) {
	if o.take(w, r) {
		o.hook.ID, o.hook.Status = hookID, "ACTIVE"
		o.answer(w)
	}
}

func (o *org) replace(w http.ResponseWriter, r *http.Request) {
	before := o.hook
	if o.take(w, r) {
		o.hook.ID, o.hook.Status = before.ID, before.Status
		o.answer(w)
	}
}

// take reads a hook from a request, and rejects it if a field is missing or unknown to Okta.
func (o *org) take(w http.ResponseWriter, r *http.Request) bool {
	var hook inlineHook
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&hook)
	config := hook.Channel.Config
	if err != nil || hook.Name == "" || hook.Type != "com.okta.user.pre-registration" || hook.Version != "1.0.0" ||
		hook.Channel.Type != "HTTP" || hook.Channel.Version != "1.0.0" || config.URI != publicURL || config.Method != "POST" ||
		config.AuthScheme.Type != "HEADER" || config.AuthScheme.Key == "" || strings.TrimSpace(config.AuthScheme.Value) == "" ||
		r.Header.Get("Content-Type") != "application/json" {
		o.t.Errorf("%s %s: not as Okta documents it: %v %+v", r.Method, r.URL.Path, err, hook)
		http.Error(w, `{"errorCode":"E0000001"}`, http.StatusBadRequest)
		return false
	}
	o.hook = hook
	return true
}

func (o *org) become(status string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if status == "INACTIVE" && len(o.attached()) > 0 {
			w.WriteHeader(http.StatusBadRequest)
			o.send(w, fixtureJSON(o.t, "error-400-hook-in-use.json"))
			return
		}
		o.hook.Status = status
		o.answer(w)
	}
}

func (o *org) answer(w http.ResponseWriter) {
	shown := o.hook
	shown.Channel.Config.AuthScheme.Value = ""
	if err := json.NewEncoder(w).Encode(shown); err != nil {
		o.t.Error(err)
	}
}

// execute sends the body of a request to the hook, and returns the hook's answer. If Okta could not use the answer, it
// returns status 400.
func (o *org) execute(w http.ResponseWriter, r *http.Request) {
	scheme := o.hook.Channel.Config.AuthScheme
	call, err := http.NewRequestWithContext(r.Context(), http.MethodPost, o.op.hookURL, r.Body)
	if err != nil {
		o.t.Error(err)
		return
	}
	call.Header = http.Header{"Content-Type": {"application/json"}, http.CanonicalHeaderKey(scheme.Key): {scheme.Value}}
	response, err := http.DefaultClient.Do(call)
	if err != nil {
		o.t.Error(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || !slices.Contains([]int{http.StatusOK, http.StatusNoContent}, response.StatusCode) {
		http.Error(w, `{"errorCode":"E0000001"}`, http.StatusBadRequest)
		return
	}
	if _, err := w.Write(body); err != nil {
		o.t.Error(err)
	}
}
