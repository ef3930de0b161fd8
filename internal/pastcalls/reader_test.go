package pastcalls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/hookserver/okta"
)

var options = Options{Attributes: []string{"email", "login"}, Source: "rulOfTheFlag", RequestType: okta.SelfServiceRegistration}

// read returns all calls of a text. Of a request it returns a text: its source, its kind, and its attributes.
func read(t *testing.T, text string) (requests []string, records []Record, counts Counts, err error) {
	t.Helper()
	counts, err = Read(strings.NewReader(text), options, func(call *Call) {
		if call.Request != nil {
			requests = append(requests, requestText(call.Request))
		}
		if call.Record != (Record{}) {
			records = append(records, call.Record)
		}
	})
	return requests, records, counts, err
}

func requestText(r *okta.Request) string {
	text := r.Source
	for _, attribute := range r.Profile.Attributes {
		text += fmt.Sprintf(" %s=%s", attribute.Name, attribute.Text)
	}
	for _, attribute := range r.Update.Attributes {
		text += fmt.Sprintf(" update.%s=%s", attribute.Name, attribute.Text)
	}
	return text
}

// logged returns the lines that the operator writes for two decisions and for something else.
func logged(handler func(io.Writer) slog.Handler) string {
	var out bytes.Buffer
	logger := logr.FromSlogHandler(handler(&out))
	logger.Info("Rules published", "digest", "sha256:00", "policies", 2)
	logger.WithName("hook").Info("Decided", "decisionID", "1", "oktaRequestID", "", "source", "rul1", "requestType", "SelfServiceRegistration",
		"outcome", "DENY", "reason", "Denied", "policy", "default/partners", "attribute", "email", "digest", "sha256:00",
		"duration", 0.000012, "credential", "a \"name\"", "domain", "beta.example", "audit", []string{"default/x=ALLOW/Allowed"})
	logger.Info("Decided", "source", "!Personal", "requestType", "Both", "outcome", "ALLOW", "reason", "Allowed", "policy", "ns/p",
		"attribute", "", "digest", "", "duration", 1.0, "observed", true)
	logger.Info("Log lines left out", "lines", 7)
	return out.String()
}

func TestReadTheLogOfTheOperator(t *testing.T) {
	want := []Record{
		{
			RequestType: "SelfServiceRegistration", Source: "rul1", Outcome: "DENY", Reason: "Denied", Policy: "default/partners", Attribute: "email",
			Domain: "beta.example", Digest: "sha256:00",
		},
		{RequestType: "Both", Source: "!Personal", Outcome: "ALLOW", Reason: "Allowed", Policy: "ns/p"},
	}
	inJSON := logged(func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) })
	inText := logged(func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) })
	prefixed := func(text, prefix string) string {
		return prefix + strings.TrimSuffix(strings.ReplaceAll(text, "\n", "\n"+prefix), prefix)
	}
	for sentence, text := range map[string]string{
		"as JSON":                    inJSON,
		"as text":                    inText,
		"both in one file":           inText + inJSON[:0],
		"with a byte order mark":     "\ufeff" + inJSON,
		"with line ends of Windows":  strings.ReplaceAll(inText, "\n", "\r\n"),
		"without the last line end":  strings.TrimSuffix(inJSON, "\n"),
		"kubectl logs --prefix":      prefixed(inJSON, "[pod/operator-5d4/operator] "),
		"kubectl logs --timestamps":  prefixed(inText, "2026-09-01T10:00:00.000000000Z "),
		"CRI's format":               prefixed(inJSON, "2026-09-01T10:00:00.000000000Z stderr F "),
		"kubectl logs, JSON as text": prefixed(inText, "[pod/operator-5d4/operator] "),
	} {
		t.Run(sentence, func(t *testing.T) {
			requests, records, counts, err := read(t, text)
			if err != nil || len(requests) > 0 {
				t.Error(err, requests)
			}
			if diff := cmp.Diff(want, records); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(Counts{Calls: 2, Other: 2, LeftOut: 7}, counts); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadBodiesOfCalls(t *testing.T) {
	paths, err := filepath.Glob("../../test/vectors/okta/requests/*.json")
	if err != nil || len(paths) < 5 {
		t.Fatal(paths, err)
	}
	var pretty, lines strings.Builder
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pretty.Write(body)
		lines.WriteString(strings.ReplaceAll(strings.ReplaceAll(string(body), "\n", " "), "\r", " ") + "\n")
	}
	var first []string
	for sentence, text := range map[string]string{
		"as JSON lines":       lines.String(),
		"one after the other": pretty.String(),
		"in an array":         "[\n" + strings.ReplaceAll(strings.TrimSpace(lines.String()), "\n", ",\n") + "]",
	} {
		t.Run(sentence, func(t *testing.T) {
			requests, records, counts, err := read(t, text)
			if err != nil || counts != (Counts{Calls: len(paths)}) || len(records) > 0 {
				t.Error(counts, records, err)
			}
			if first == nil {
				first = requests
			}
			if diff := cmp.Diff(first, requests); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(strings.Join(requests, "\n"), "regt4qeBKU29vSoPz0g3 email=rosario.jones@example.com login=rosario.jones@example.com") {
				t.Error(requests)
			}
		})
	}
}

// event returns an event of the System Log with a debugContext.
func event(debugContext string) string {
	return fmt.Sprintf(`{"actor":{"alternateId":"system@okta.com"},"eventType":"inline_hook.response.processed","outcome":{"result":"FAILURE"},
"debugContext":{"debugData":{"requestId":"r","x":%s}},"uuid":"f1f7","target":[{"type":"InlineHook"}]}`, debugContext)
}

// eventRows are events of the System Log as a table. Its columns are those that people show; the name of the last but one is
// invented.
const eventRows = `"severity","event_type","display_message","uuid","outcome.result","actor.alternate_id","debug_context.debug_data.x","target0.type"
"WARN","inline_hook.response.processed","Inline hook response processed","f1f7","FAILURE","system@okta.com","{""decisionID"":""1"",""outcome"":""DENY"",` +
	`""reason"":""NotAllowed"",""attribute"":""email"",""source"":""rul1"",""requestType"":""SelfServiceRegistration"",""digest"":""sha256:00""}","InlineHook"
INFO,user.session.start,User login to Okta,f1f8,SUCCESS,jo@acme.com,,User
INFO,inline_hook.response.processed,"Processed, at last",f1f9,SUCCESS,system@okta.com,"{""debugContext"":{""decisionID"":""2"",""outcome"":""ALLOW"",""reason"":""Allowed""}}"
"INFO","a message over
two lines",f1fa
`

func TestReadTheSystemLogAsATable(t *testing.T) {
	want := []Record{
		{RequestType: "SelfServiceRegistration", Source: "rul1", Outcome: "DENY", Reason: "NotAllowed", Attribute: "email", Digest: "sha256:00"},
		{Outcome: "ALLOW", Reason: "Allowed"},
	}
	for sentence, text := range map[string]string{
		"as it is":                   eventRows,
		"with a byte order mark":     "\ufeff" + eventRows,
		"with line ends of Windows":  strings.ReplaceAll(eventRows, "\n", "\r\n"),
		"with a blank line in front": "\n" + eventRows,
	} {
		t.Run(sentence, func(t *testing.T) {
			requests, records, counts, err := read(t, text)
			if err != nil || len(requests) > 0 {
				t.Error(err, requests)
			}
			if diff := cmp.Diff(want, records); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			counts.FirstUnreadable = ""
			if diff := cmp.Diff(Counts{Calls: 2, Other: 2, Unreadable: 1}, counts); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadTheSystemLog(t *testing.T) {
	decided := event(`"{\"decisionID\":\"1\",\"outcome\":\"DENY\",\"reason\":\"NotAllowed\",\"attribute\":\"email\",\"source\":\"rul1\",` +
		`\"requestType\":\"SelfServiceRegistration\",\"policiesThatTookPart\":1,\"digest\":\"sha256:00\"}"`)
	short := event(`{"decisionID":"2","outcome":"ALLOW","reason":"Allowed"}`)
	other := `{"eventType":"user.session.start","uuid":"f1f8","outcome":{"result":"SUCCESS"},"actor":{"alternateId":"jo@acme.com"}}`
	want := []Record{
		{RequestType: "SelfServiceRegistration", Source: "rul1", Outcome: "DENY", Reason: "NotAllowed", Attribute: "email", Digest: "sha256:00"},
		{Outcome: "ALLOW", Reason: "Allowed"},
	}
	line := func(event string) string { return strings.ReplaceAll(event, "\n", " ") }
	for sentence, text := range map[string]string{
		"an array":                 "[" + decided + "," + other + ", " + short + "]\n",
		"an array over many lines": "[\n" + decided + ",\n" + other + ",\n" + short + "\n]\n",
		"JSON lines":               line(decided) + "\n" + line(other) + "\n" + line(short),
	} {
		t.Run(sentence, func(t *testing.T) {
			_, records, counts, err := read(t, text)
			if diff := cmp.Diff(want, records); err != nil || diff != "" || counts != (Counts{Calls: 2, Other: 1}) {
				t.Error(diff, counts, err)
			}
		})
	}
}

func TestReadTablesAndLists(t *testing.T) {
	for sentence, test := range map[string]struct {
		text    string
		want    []string
		records []Record
		counts  Counts
	}{
		"a list": {
			text:   "# people\njo@acme.com\n\n  kim@beta.example  \nnobody\n",
			want:   []string{"rulOfTheFlag email=jo@acme.com login=jo@acme.com", "rulOfTheFlag email=kim@beta.example login=kim@beta.example", "rulOfTheFlag email=nobody login=nobody"},
			counts: Counts{Calls: 3},
		},
		"a list without a line end": {text: "jo@acme.com", want: []string{"rulOfTheFlag email=jo@acme.com login=jo@acme.com"}, counts: Counts{Calls: 1}},
		"a table": {
			text:   "Email,Login,source,requestType,team\njo@acme.com,jo.doe,rul1,,x\nkim@beta.example,,,progressive.profile,y\n",
			want:   []string{"rul1 email=jo@acme.com login=jo.doe", "rulOfTheFlag update.email=kim@beta.example update.login="},
			counts: Counts{Calls: 2},
		},
		"quotes, semicolons, line ends of Windows": {
			text:   "\"email\";\"Name\"\r\n\"jo@acme.com\";\"Doe; \"\"Jo\"\"\"\r\n",
			want:   []string{"rulOfTheFlag email=jo@acme.com login="},
			counts: Counts{Calls: 1},
		},
		"tabs":                    {text: "login\temail\njo\tjo@acme.com\n", want: []string{"rulOfTheFlag email=jo@acme.com login=jo"}, counts: Counts{Calls: 1}},
		"a comment before names":  {text: "# exported\nemail\njo@acme.com\n", want: []string{"rulOfTheFlag email=jo@acme.com login="}, counts: Counts{Calls: 1}},
		"rows that are not whole": {text: "email,login\njo@acme.com\n\"jo@acme.com,x\n,,\n\"a\"b,c\n", counts: Counts{Unreadable: 4, FirstUnreadable: "line 2"}},
		"texts that are not known": {
			text: "email,requestType,outcome\njo@acme.com,signup,\njo@acme.com,,allowed\n", counts: Counts{Unreadable: 2, FirstUnreadable: "line 2"},
		},
		"domains and outcomes": {
			text:    "domain,outcome\nacme.com,DENY\n,DENY\n",
			records: []Record{{RequestType: "SelfServiceRegistration", Source: "rulOfTheFlag", Outcome: "DENY", Domain: "acme.com"}},
			counts:  Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 3"},
		},
		"an address with its outcome": {
			text: "email,outcome\njo@acme.com,ALLOW\n", want: []string{"rulOfTheFlag email=jo@acme.com login="}, records: []Record{{Outcome: "ALLOW"}},
			counts: Counts{Calls: 1},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			requests, records, counts, err := read(t, test.text)
			if diff := cmp.Diff(test.want, requests); err != nil || diff != "" {
				t.Error(diff, err)
			}
			if diff := cmp.Diff(test.records, records); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.counts, counts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const decidedLine = `{"msg":"Decided","source":"","requestType":"SelfServiceRegistration","outcome":"DENY","reason":"NotAllowed","domain":"acme.com"}`

func TestReadCountsDamagedLines(t *testing.T) {
	text := `time=2026-09-01T10:00:00.000Z level=INFO msg=Decided source="" requestType=Both outcome=ALLOW`
	for sentence, test := range map[string]struct {
		text string
		want Counts
	}{
		"cut in the middle":            {decidedLine + "\n" + decidedLine[:60] + "\n" + decidedLine, Counts{Calls: 2, Unreadable: 1, FirstUnreadable: "line 2"}},
		"cut at its begin":             {decidedLine[2:] + "\n" + decidedLine + "\n", Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 1"}},
		"cut at the end of the file":   {decidedLine + "\n" + decidedLine[:len(decidedLine)-1], Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"cut within a key":             {decidedLine + "\n{\"ms", Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"text that is cut":             {text + "\n" + text + " policy=\"a", Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"text without an outcome":      {text + "\n" + text[:60], Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"not UTF-8":                    {decidedLine + "\n" + strings.ReplaceAll(decidedLine, "acme", "\xff"), Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"NUL bytes far into the input": {strings.Repeat(decidedLine+"\n", 1000) + "\x00\x00\n" + decidedLine, Counts{Calls: 1001, Unreadable: 1, FirstUnreadable: "line 1001"}},
		"NUL bytes in the first lines": {decidedLine + "\n\x00\x00\n", Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"a line that is too long": {
			decidedLine + "\n{\"msg\":\"" + strings.Repeat("x", 3*maxLine) + "\"}\n" + decidedLine + "\n", Counts{Calls: 2, Unreadable: 1, FirstUnreadable: "line 2"},
		},
		"a long line that is read": {
			decidedLine + "\n{\"msg\":\"" + strings.Repeat("x", maxLine/2) + "\"}\n" + decidedLine, Counts{Calls: 2, Other: 1},
		},
		"a text that is too long": {
			decidedLine + "\n" + strings.Replace(decidedLine, "NotAllowed", strings.Repeat("x", maxText+1), 1),
			Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"},
		},
		"no record of an outcome":   {decidedLine + "\n" + `{"msg":"Decided"}`, Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"a body that is ambiguous":  {decidedLine + "\n" + `{"data":{},"data":{}}`, Counts{Calls: 1, Unreadable: 1, FirstUnreadable: "line 2"}},
		"a stack, and other things": {"panic: x\ngoroutine 1 [running]:\n" + decidedLine + "\n{}\n[1]\n", Counts{Calls: 1, Other: 4}},
		"values that are no object": {"[\n1, [2, 3], " + decidedLine + "]", Counts{Calls: 1, Unreadable: 2, FirstUnreadable: "value 1"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, _, counts, err := read(t, test.text)
			if diff := cmp.Diff(test.want, counts); err != nil || diff != "" {
				t.Error(diff, err)
			}
		})
	}
}

func TestReadRefusesWhatItCannotRead(t *testing.T) {
	for sentence, test := range map[string]struct{ text, want string }{
		"nothing":                           {"", "is empty"},
		"white space":                       {" \n\n", "is empty"},
		"a binary":                          {"\x7fELF\x02\x00\x00", "is binary, because it has NUL bytes"},
		"a list with NUL bytes":             {"jo@acme.com\n\x00", "is binary"},
		"UTF-16":                            {"\xff\xfe{\x00", "is UTF-16: save it as UTF-8"},
		"gzip":                              {"\x1f\x8b\x08\x00", "is compressed: unpack it"},
		"prose":                             {"It was a dark night.\nThe end.\n", "is in no format that is known"},
		"one long line":                     {strings.Repeat("x", 3*maxLine), "is in no format that is known"},
		"a table without names":             {"jo@acme.com,rul1\n", "is a table without names of its columns: write a first line such as email,"},
		"a table without the first address": {"login,source\njo,rul1\n", "names no column email or domain: every sign-up has email"},
		"an array that is cut":              {"[" + event("1") + "," + event("2")[:50], "is damaged or cut off: its JSON cannot be read from value 2 on"},
		"an array with damage":              {"[" + event("1") + ",}" + event("2") + "]", "is damaged or cut off: its JSON cannot be read from value 2 on"},
		"a value that is too long":          {"[\n{\"uuid\":\"" + strings.Repeat("x", 3*maxLine) + "\"}]", "has a JSON value of more than 1048576 bytes, number 1"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if _, _, _, err := read(t, test.text); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// failing is a reader that fails after its text.
type failing struct{ text io.Reader }

var errDisk = errors.New("input/output error")

func (f failing) Read(p []byte) (int, error) {
	n, err := f.text.Read(p)
	if errors.Is(err, io.EOF) {
		err = errDisk
	}
	return n, err
}

func TestReadReturnsTheErrorOfItsInput(t *testing.T) {
	long := strings.Repeat(decidedLine+"\n", 1000)
	for _, text := range []string{"", decidedLine, long, "[\n" + decidedLine, "[" + strings.Repeat(decidedLine+",", 1000)} {
		if _, err := Read(failing{strings.NewReader(text)}, options, func(*Call) {}); !errors.Is(err, errDisk) {
			t.Errorf("after %d bytes: %v", len(text), err)
		}
	}
}
