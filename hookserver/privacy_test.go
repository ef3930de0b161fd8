package hookserver

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/vectors"
)

const (
	// marker is a local part that cannot be in any output by chance.
	marker = "qzx7local"
	// badSecret is a credential that nobody accepts.
	badSecret = "Basic cXp4N3NlY3JldC1vZi1zb21lYm9keQ=="
)

// beforeAt finds local parts in a body; userNames are the user names in the rows.
var (
	beforeAt  = regexp.MustCompile(`[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]+(@|\\u0040|` + "\uff20" + `)`)
	userNames = regexp.MustCompile(`"(alice|jo\.smith-2)"|\\\\ceo`)
)

// TestNoOutputHoldsALocalPartOrASecret sends every row, with a local part that can be looked for, and looks for it in
// everything that the server puts out: answers, headers, log lines, metrics.
func TestNoOutputHoldsALocalPartOrASecret(t *testing.T) {
	server := run(t, func(o *Options) { o.LogDomain = LogDomainAlways })
	server.server.refusalLog.limiter.SetBurst(1 << 20) // every line is looked at
	var output bytes.Buffer
	raw := []string{marker, secret, strings.TrimPrefix(secret, "Basic "), badSecret, strings.TrimPrefix(badSecret, "Basic ")}
	calls, marked := 0, 0
	send := func(body string, change ...func(*http.Request)) {
		got := server.post(body, change...)
		output.WriteString(got.body + "\n")
		if err := got.header.Write(&output); err != nil {
			t.Fatal(err)
		}
		calls++
		if strings.Contains(body, marker) {
			marked++
		}
	}
	ids := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Okta-Request-Id", value) }
	}

	for _, row := range slices.Concat(vectors.Addresses(), vectors.DenyRules()) {
		server.publish(policyOf(row.PolicyAllow, row.PolicyDeny))
		address := row.Email
		if local, domain, found := strings.Cut(address, "@"); found && local != "" && strings.Trim(local, asciiLetters+asciiDigits) == "" {
			address = marker + "@" + domain
		} else {
			raw = append(raw, tellTale(address)...)
		}
		send(signUp(address, address))
		send(signUp("jo@example.com", address))
		send(call("userProfileUpdate", map[string]any{"email": address}))
		send(signUp(address, marker), ids(address[:min(len(address), 1)]+marker))
	}
	for _, row := range vectors.Bodies() {
		server.publish(policyOf(row.PolicyAllow, nil))
		body := beforeAt.ReplaceAllString(string(row.Body), marker+"$1")
		send(userNames.ReplaceAllString(body, `"`+marker+`"`))
		send(body, func(r *http.Request) { r.Header.Set("Authorization", badSecret) })
		send(body, func(r *http.Request) { r.Header.Add("Authorization", badSecret) })
	}
	for _, file := range vectors.OktaRequests() {
		body := beforeAt.ReplaceAllStringFunc(string(file.Body), func(match string) string {
			if strings.HasPrefix(match, "Xc1") {
				return match // a request id
			}
			return marker + "@"
		})
		send(body)
	}
	// A person's address and the credential in every place that reaches the log.
	for _, personal := range []string{marker, marker + "@example.com", secret, strings.TrimPrefix(secret, "Basic ")} {
		body := strings.NewReplacer("GOsk4z6tSSeZo6X08MvKaw", personal, "rul1bufGk5dJdRYw50g4", personal,
			"XWVxW2zcaH5-Ii74OsI6CgAACJw", personal).Replace(signUp(marker+"@example.com", marker))
		send(body)
		send(body, ids(personal))
		send(strings.Replace(body, `"source"`, `"requestType":"`+personal+`","source"`, 1))
		send(strings.Replace(body, "com.okta.user.pre-registration", personal, 1))
		send(strings.Replace(body, `"source"`, `"`+personal+`":1,"`+personal+`":2,"source"`, 1)) // a syntax error names it
	}
	output.WriteString(server.log.text())
	output.WriteString(server.metrics())

	text := output.String()
	for _, personal := range raw {
		quoted, err := json.Marshal(personal)
		if err != nil {
			t.Fatal(err)
		}
		for _, spelling := range []string{personal, strings.Trim(string(quoted), `"`)} {
			if at := strings.Index(text, spelling); at >= 0 {
				t.Errorf("%q is put out: …%s…", spelling, text[max(0, at-200):min(len(text), at+200)])
			}
		}
	}
	if lines := len(server.log.with(t, "Decided")); lines == 0 || marked < calls/2 {
		t.Errorf("%d calls, %d marked, %d decided", calls, marked, lines)
	}
	t.Logf("%d calls, %d of them with a marked local part: nothing of it in %d bytes of output", calls, marked, len(text))
}

// tellTale returns what of a strange address cannot be in the output by chance: all of it, if it is more than a name.
func tellTale(address string) []string {
	if _, err := rules.ParseDomain(address); err == nil || len(address) < 8 {
		return nil
	}
	return []string{address}
}
