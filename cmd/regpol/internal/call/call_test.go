package call

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/test/vectors"
)

// called runs call with -o json.
func called(t *testing.T, args ...string) (verbtest.Result, hookReport) {
	t.Helper()
	got := runRegpol(t, "", append([]string{"call", "-o", "json"}, args...)...)
	var r hookReport
	if err := json.Unmarshal([]byte(got.Out), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, got.Out, got.Err)
	}
	return got, r
}

func (r *hookReport) names() []hookcheck.Name {
	names := []hookcheck.Name{}
	for _, fault := range r.Faults {
		names = append(names, fault.Name)
	}
	return names
}

// serveHook serves a hook in plain HTTP, and returns the arguments that call it.
func serveHook(t *testing.T, handler http.HandlerFunc) []string {
	t.Helper()
	t.Setenv(credentialVariable, hookCredential)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return []string{server.URL, "--plain-http"}
}

func answerJSON(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != hookCredential {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

const (
	allowAnswer = `{"commands":[{"type":"com.okta.action.update","value":{"registration":"ALLOW"}}]}`
	denyAnswer  = `{"commands":[{"type":"com.okta.action.update","value":{"registration":"DENY"}}],"error":{"errorSummary":"No.",` +
		`"errorCauses":[{"errorSummary":"No.","reason":"X","locationType":"body","location":"data.userProfile.email","domain":"end-user"}]}}`
)

func TestCallSaysWhatThePersonReadsAtOurOperator(t *testing.T) {
	op := startOperator(t)
	const acme = "Please sign up with your acme.com address."
	const contractors = "Contractors get their account from the person they work for. (Reference: "
	for sentence, test := range map[string]struct {
		args     []string
		code     int
		reason   string
		policy   string
		classic  string // what the text begins with; at the top
		engine   string // the same, next to the e-mail's field
		attempts int
	}{
		"allowed":              {[]string{"jo@acme.com"}, console.ExitAllowed, "Allowed", "default/acme", "", "", 1},
		"allowed on Classic":   {[]string{"jo@acme.com", "--shape", "classic"}, console.ExitAllowed, "Allowed", "default/acme", "", "", 1},
		"denied by a policy":   {[]string{"jo@contractors.acme.com"}, console.ExitDenied, "Denied", "default/contractors", contractors, contractors, 1},
		"allowed by none":      {[]string{"jo@other.example"}, console.ExitDenied, "NotAllowed", "", acme, acme, 1},
		"denied, and accepted": {[]string{"jo@other.example", "--accept-denial"}, console.ExitAllowed, "NotAllowed", "", acme, acme, 1},
		"without an address":   {nil, console.ExitDenied, "NotAllowed", "", acme, acme, 1},
		"a login of another domain": {
			[]string{"jo@acme.com", "--login", "jo@other.example"}, console.ExitDenied, "NotAllowed", "", acme, "", 1,
		},
		"a change of a profile": {
			[]string{"jo@other.example", "--shape", "progressive"}, console.ExitDenied, "NotAllowed", "", "", acme, 1,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, r := called(t, append(append([]string{hookURL}, op.flags()...), test.args...)...)
			if got.Code != test.code || r.Reason != test.reason || r.Policy != test.policy || r.Attempts != test.attempts || r.DecisionID == "" {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
			// The one thing to find: its certificate is of no public CA.
			if diff := cmp.Diff([]hookcheck.Name{hookcheck.PrivateAuthority}, r.names()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			begins(t, "Classic", r.Person.Classic, test.classic, "at the top")
			if test.engine != "" || r.Verdict == verdictAllowed {
				begins(t, "Identity Engine", r.Person.IdentityEngine, test.engine, "next to email")
			}
		})
	}
}

// begins expects one line that begins with text, or none.
func begins(t *testing.T, engine string, lines []registration.Line, text, place string) {
	t.Helper()
	if text == "" && len(lines) == 0 {
		return
	}
	if text == "" || len(lines) != 1 || !strings.HasPrefix(lines[0].Text, text) || lines[0].Place != place {
		t.Errorf("on %s the person reads %v", engine, lines)
	}
}

// scripted is a hook as a script of a few lines has it: it looks at the domain, and denies with a text of its own.
func scripted(w http.ResponseWriter, r *http.Request) {
	user, password, ok := r.BasicAuth()
	if !ok || user != "regpol" || password != "a-secret-of-the-test" {
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("ETag", `W/"x"`)
	if strings.HasSuffix(emailOf(r), "@acme.com") {
		_, _ = io.WriteString(w, `{"commands":[{"type":"com.okta.action.update","value":{"registration":"ALLOW"}},`+
			`{"type":"com.okta.user.profile.update","value":{"title":"Guest"}}]}`)
		return
	}
	_, _ = io.WriteString(w, `{"commands":[{"type":"com.okta.action.update","value":{"registration":"DENY"}}],`+
		`"error":{"errorSummary":"Wrong domain.","errorCauses":[{"errorSummary":"Only acme.com.","reason":"INVALID_EMAIL_DOMAIN",`+
		`"locationType":"body","location":"data.userProfile.login","domain":"end-user"}]}}`)
}

// typed is a hook as a typed language's serialiser writes it: members without a value are there, as null.
func typed(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != hookCredential {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	action := `{"type":"com.okta.action.update","value":{"registration":"ALLOW"}}`
	failure := "null"
	if !strings.HasSuffix(emailOf(r), "@acme.com") {
		action = `{"type":"com.okta.action.update","value":{"registration":"DENY"}}`
		failure = `{"errorCode":null,"errorSummary":"Only acme.com.","errorCauses":[{"errorSummary":"Only acme.com.",` +
			`"reason":"NOT_ACME","locationType":"body","location":"email","domain":"end-user"}]}`
	}
	_, _ = io.WriteString(w, `{"commands":[`+action+`],"error":`+failure+`,"debugContext":{}}`)
}

func emailOf(r *http.Request) string {
	var call struct {
		Body struct {
			UserProfile struct{ Email string } `json:"userProfile"`
		} `json:"data"`
	}
	_ = json.NewDecoder(r.Body).Decode(&call)
	return call.Body.UserProfile.Email
}

func TestCallWorksOnOthersHooks(t *testing.T) {
	for sentence, test := range map[string]struct {
		hook    http.HandlerFunc
		address string
		code    int
		verdict string
		faults  []hookcheck.Name
		lines   []string
	}{
		"a script that allows": {
			scripted, "jo@acme.com", console.ExitAllowed, verdictAllowed, []hookcheck.Name{}, []string{`  sets             title to "Guest"`},
		},
		"a script that denies": {
			scripted, "jo@other.example", console.ExitDenied, verdictDenied, []hookcheck.Name{},
			[]string{"  Classic          at the top: Only acme.com.\n", "  Identity Engine  next to login: Only acme.com.\n"},
		},
		"a typed hook that means to allow, and does not": {
			typed, "jo@acme.com", console.ExitFault, verdictDenied, []hookcheck.Name{hookcheck.ErrorOnAllow, hookcheck.ErrorForm},
			[]string{
				"  error    ErrorOnAllow: error without DENY",
				"  Classic          at the top: Registration cannot be completed at this time.\n",
			},
		},
		"a typed hook whose text nobody reads": {
			typed, "jo@other.example", console.ExitDenied, verdictDenied, []hookcheck.Name{hookcheck.CauseElsewhere},
			[]string{"  Identity Engine  nothing about the reason", "  warning  CauseElsewhere: "},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			args := append(serveHook(t, test.hook), test.address)
			got, r := called(t, args...)
			if got.Code != test.code || r.Verdict != test.verdict {
				t.Errorf("exit code %d\n%s", got.Code, got.Out)
			}
			if diff := cmp.Diff(test.faults, r.names()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			text := runRegpol(t, "", append([]string{"call"}, args...)...).Out
			if first, _, _ := strings.Cut(text, "\n"); first != test.verdict {
				t.Errorf("the first line is %q", first)
			}
			for _, line := range test.lines {
				if !strings.Contains(text, "\n"+line) {
					t.Errorf("no line begins with %q:\n%s", line, text)
				}
			}
		})
	}
}

func TestCallPostsARecordedCallUnchanged(t *testing.T) {
	for _, file := range vectors.OktaRequests() {
		t.Run(file.Name, func(t *testing.T) {
			var posted []byte
			args := serveHook(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Header.Get("Authorization") == hookCredential {
					posted = body
				}
				answerJSON(allowAnswer)(w, r)
			})
			got := runRegpol(t, string(file.Body), append([]string{"call", "-f", "-"}, args...)...)
			if got.Code != console.ExitAllowed || !bytes.Equal(posted, file.Body) {
				t.Errorf("exit code %d, posted %q\n%s%s", got.Code, posted, got.Out, got.Err)
			}
		})
	}
}

func TestCallEndsWith(t *testing.T) {
	for sentence, test := range map[string]struct {
		body string
		args []string
		code int
	}{
		"0 for allowed":                               {allowAnswer, nil, console.ExitAllowed},
		"1 for denied":                                {denyAnswer, nil, console.ExitDenied},
		"0 for denied, where that is accepted":        {denyAnswer, []string{"--accept-denial"}, console.ExitAllowed},
		"3 for an allow by default":                   {`{}`, nil, console.ExitFault},
		"3 for a fault, though a denial is accepted":  {`{"error":{}}`, []string{"--accept-denial"}, console.ExitFault},
		"3 for an answer that cannot be used":         {`[]`, nil, console.ExitFault},
		"0 for allowed with a warning":                {strings.Replace(allowAnswer, "{", `{"x":1,`, 1), nil, console.ExitAllowed},
		"3 for a hook that guards with another value": {allowAnswer, []string{"--header", "X-Registration-Hook-Key"}, console.ExitFault},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", append(append([]string{"call"}, serveHook(t, answerJSON(test.body))...), test.args...)...)
			if got.Code != test.code || got.Err != "" {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
}

// A hook that accepts only access tokens can be checked without one: it must refuse the call, and have no other fault.
func TestCallAcceptsARefusalForWantOfACredential(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	for sentence, test := range map[string]struct {
		hook       http.HandlerFunc
		credential string
		code       int
		says       string
	}{
		"0 for a refusal":               {refuse, "", console.ExitAllowed, "Unauthorized"},
		"3 for an answer to anyone":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, allowAnswer) }, "", console.ExitFault, ""},
		"3 for a path that is not here": {http.NotFound, "", console.ExitFault, "404"},
		"2 with a credential":           {refuse, hookCredential, console.ExitUsage, "--accept-unauthorized is for a call without a credential"},
	} {
		t.Run(sentence, func(t *testing.T) {
			args := serveHook(t, test.hook)
			t.Setenv(credentialVariable, test.credential)
			got := runRegpol(t, "", append([]string{"call", "--accept-unauthorized"}, args...)...)
			if got.Code != test.code || !strings.Contains(got.Out+got.Err, test.says) {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
}

func TestCallInYAMLSaysTheSameAsInJSON(t *testing.T) {
	args := serveHook(t, answerJSON(denyAnswer))
	_, want := called(t, args...)
	got := runRegpol(t, "", append([]string{"call", "-o", "yaml"}, args...)...)
	var r hookReport
	if err := yaml.Unmarshal([]byte(got.Out), &r); err != nil {
		t.Fatal(err)
	}
	r.RequestID, r.LatencyMilliseconds = want.RequestID, want.LatencyMilliseconds
	if !cmp.Equal(want.Person, r.Person) || want.Verdict != r.Verdict || len(r.Faults) != len(want.Faults) {
		t.Errorf("it says\n%s", got.Out)
	}
}

func TestCallColoursTheVerdictAndNothingWithoutBeingAsked(t *testing.T) {
	r := &hookReport{Verdict: verdictAllowed, Faults: []hookcheck.Fault{{Name: "X", Level: hookcheck.LevelError}}}
	text := string(r.text(true))
	if !strings.HasPrefix(text, "\x1b[32;1mallowed\x1b[0m\n") || !strings.Contains(text, "\x1b[31;1merror\x1b[0m") {
		t.Errorf("in colour: %q", text)
	}
	if text := string(r.text(false)); strings.Contains(text, "\x1b") {
		t.Errorf("without: %q", text)
	}
}

func TestAHookCannotSpeakToTheTerminal(t *testing.T) {
	body := strings.ReplaceAll(denyAnswer, "No.", `No.\u001b[2J\u009b\u202e`)
	body = strings.Replace(body, "userProfile.email", `userProfile.\u001b[2J`, 1)
	body = strings.Replace(body, `{"commands"`, `{"debugContext":{"reason":"\u001b[2J","x":"`+"\u009b"+`"},"\u001b":1,"commands"`, 1)
	got := runRegpol(t, "", append([]string{"call"}, serveHook(t, answerJSON(body))...)...)
	if strings.ContainsAny(got.Out, "\x1b\u009b\u202e") || !strings.HasPrefix(got.Out, "denied\n") {
		t.Errorf("%q", got.Out)
	}
}

func TestWrongUsageOfCallIsSaid(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	verbtest.WriteTo(t, empty, "\n")
	two := filepath.Join(t.TempDir(), "two")
	verbtest.WriteTo(t, two, "s3cret\n\n")
	for want, args := range map[string][]string{
		"give the URL of a hook, and at most one address; see regpol call --help": nil,
		"and at most one address":                 {hookURL, "jo@acme.com", "eve@acme.com"},
		"write https://host/path":                 {"hook.example.com"},
		"URL: has a user name or password":        {"https://jo:s3cret@hook.example.com"},
		"not a URL: write https://":               {"https://s3cret\n"},
		"URL: not a URL: write":                   {"127.0.0.1:8080/okta/registration"},
		"not both":                                {hookURL, "jo@acme.com", "-f", "call.json"},
		"give only one of --filename and --login": {hookURL, "--login", "jo", "-f", "call.json"},
		"cannot both read":                        {hookURL, "-f", "-", "--credential-file", "-"},
		"--timeout":                               {hookURL, "--timeout", "0s"},
		"--shape":                                 {hookURL, "--shape", "okta"},
		"-o:":                                     {hookURL, "-o", "xml"},
		"--resolve":                               {hookURL, "--resolve", "hook.example.com:192.0.2.1"},
		"--header: give only the header's name":   {hookURL, "--header", "Authorization: s3cret"},
		"file cannot be read":                     {hookURL, "--credential-file", "Basic s3cret"},
		"the file is empty":                       {hookURL, "--credential-file", empty},
		"the credential has a line break":         {hookURL, "--credential-file", two},
		"has no certificate in PEM":               {hookURL, "--ca-file", empty},
		"read the call":                           {hookURL, "-f", "missing.json"},
		"is not a call":                           {hookURL, "-f", empty},
		"is the address UTF-8":                    {hookURL, "jo\xff@acme.com"},
		"there is no flag --credential;":          {hookURL, "--credential=s3cret"},
		"there is no flag -u;":                    {hookURL, "-us3cret"},
	} {
		t.Run(want, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"call"}, args...)...)
			if got.Code != console.ExitUsage || !strings.Contains(got.Err, want) || got.Out != "" {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
			if strings.Contains(got.Err, "s3cret") {
				t.Errorf("it shows the credential: %s", got.Err)
			}
		})
	}
}

func TestCallNeverShowsTheCredential(t *testing.T) {
	quoted := strconv.Quote(hookCredential)
	escaped := strings.ReplaceAll(quoted, "Basic", `\u0042asic`)
	mirrors := map[string]http.HandlerFunc{
		"in the summary": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.ReplaceAll(denyAnswer, `"No."`, quoted))
		},
		"in the summary, escaped": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.ReplaceAll(denyAnswer, `"No."`, escaped))
		},
		"in a cause's place, escaped": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.ReplaceAll(denyAnswer, "userProfile.email", "userProfile."+strings.Trim(escaped, `"`)))
		},
		"in debugContext, escaped": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Replace(allowAnswer, "{", `{"debugContext":{"reason":`+escaped+`,"x":[`+escaped+`]},`, 1))
		},
		"in a profile update, escaped": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Replace(allowAnswer, "[", `[{"type":"com.okta.user.profile.update","value":{`+
				escaped+`:`+escaped+`}},`, 1))
		},
		"in a command's name": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"commands":[{"type":`+escaped+`}],`+quoted+`:1}`)
		},
		"in the content type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", hookCredential)
			_, _ = io.WriteString(w, allowAnswer)
		},
		"in a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+hookHost+"/"+hookCredential, http.StatusFound)
		},
		"in a page of error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, hookCredential, http.StatusInternalServerError)
		},
		"in an unreadable body": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, hookCredential) },
		"in a 401":              func(w http.ResponseWriter, _ *http.Request) { http.Error(w, hookCredential, http.StatusUnauthorized) },
		"in what is no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, hookCredential+"\r\n\r\n")
				conn.Close()
			}
		},
	}
	_, secret, _ := strings.Cut(hookCredential, " ")
	plain, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	for sentence, handler := range mirrors {
		t.Run(sentence, func(t *testing.T) {
			args := serveHook(t, handler)
			for _, output := range console.Outputs {
				got := runRegpol(t, "", append([]string{"call", "-o", output}, args...)...)
				if got.Out == "" {
					t.Errorf("-o %s: nothing is said: %s", output, got.Err)
				}
				for _, part := range []string{secret, secret[:16], string(plain)} {
					if strings.Contains(got.Out+got.Err, part) {
						t.Errorf("-o %s shows the credential:\n%s%s", output, got.Out, got.Err)
					}
				}
			}
		})
	}
}
