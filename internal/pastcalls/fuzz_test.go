package pastcalls

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzRead holds the reader to its promises for any input: it ends, it counts each call that it yields, a damaged line
// does not change how others are read, and errors have no part of the input.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		decidedLine, decidedLine[:40], "time=x level=INFO msg=Decided outcome=DENY requestType=Both source=\"a\\\"b\"", "jo@acme.com\n# x\nkim@beta.example",
		"email,login\n\"a\"\"b\",c\n", "[" + event(`"{\"decisionID\":1}"`) + "]", "{\n\"data\": {}}\n{}", eventRows,
		"\x00", "domain;outcome\nacme.com;DENY\n",
		`[pod/a/b] {"msg":"Decided"}`, `{"data":{"userProfile":{"email":"jo@acme.com"}},"eventType":"com.okta.user.pre-registration"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		calls := 0
		counts, err := Read(bytes.NewReader(text), options, func(call *Call) {
			calls++
			if call.Request == nil && call.Record.Outcome == "" && call.Record.Domain == "" {
				t.Error("a call of which nothing is known")
			}
		})
		if calls != counts.Calls || (counts.Unreadable > 0) != (counts.FirstUnreadable != "") {
			t.Errorf("%d calls, %+v", calls, counts)
		}
		if err != nil && len(text) > 0 && strings.Contains(err.Error(), "@") {
			t.Errorf("the error quotes the input: %v", err)
		}
		if err != nil {
			return
		}
		// A line of the log behind the text is read, whatever the text was, if the format is that of a log.
		if _, isLine := afterPrefix(bytes.TrimSpace(text), `{"msg"`); isLine && !bytes.HasSuffix(bytes.TrimSpace(text), []byte("{")) {
			more, err := Read(strings.NewReader(string(text)+"\n"+decidedLine), options, func(*Call) {})
			if err == nil && more.Calls < counts.Calls {
				t.Errorf("%d calls with one more line, before %d", more.Calls, counts.Calls)
			}
		}
	})
}

// FuzzScanObject holds the scanner of a line against the decoder of the standard library, on lines that are valid JSON.
func FuzzScanObject(f *testing.F) {
	f.Add([]byte(decidedLine))
	f.Add([]byte(`{"a\"b":{"c":["}"]},"d":-1.5e3 , "e":null}`))
	f.Fuzz(func(t *testing.T, text []byte) { checkScan(t, text) })
}
