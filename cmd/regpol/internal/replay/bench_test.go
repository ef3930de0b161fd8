package replay

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/pastdecision"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/internal/pastcalls"
	"registrationpolicy.dev/operator/rules"
)

// endless is a reader that repeats lines.
type endless struct {
	lines []byte
	at    int
	left  int // bytes
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), e.left)], e.lines[e.at:])
	e.at = (e.at + n) % len(e.lines)
	e.left -= n
	return n, nil
}

// BenchmarkReplay reads and decides past calls by 1,000 policies; an operation is one line. heap-MB is the memory after
// the run: it must not grow with -benchtime.
func BenchmarkReplay(b *testing.B) {
	const domains = 5000 // different ones in the log
	policies := make([]rules.Policy, 1000)
	for i := range policies {
		policies[i] = rules.Policy{
			PolicyName: rules.PolicyName{Namespace: "default", Name: fmt.Sprintf("p%d", i)},
			Allow:      rules.AllowRules{Domains: []string{fmt.Sprintf("d%d.example", i), fmt.Sprintf("*.d%d.example", i)}},
			Deny:       rules.DenyRules{Addresses: []string{fmt.Sprintf("eve@d%d.example", i)}},
		}
	}
	for name, line := range map[string]func(i int) string{
		"log JSON": func(i int) string {
			return fmt.Sprintf(`{"time":"2026-09-01T10:00:00.000000000Z","level":"INFO","msg":"Decided","logger":"hook","decisionID":"%026d",`+
				`"oktaRequestID":"aKTHabcd%08d","eventID":"04Dmt8BcT_aEgM%06d","source":"rul1bufGk5dJdRYw50g4","requestType":"SelfServiceRegistration",`+
				`"outcome":"DENY","reason":"NotAllowed","policy":"","attribute":"email","digest":"sha256:%064d","duration":0.000021,`+
				`"credential":"okta","domain":"d%d.example"}`, i, i, i, 0, i)
		},
		"log text": func(i int) string {
			return fmt.Sprintf(`time=2026-09-01T10:00:00.000Z level=INFO msg=Decided logger=hook decisionID=%026d oktaRequestID=aKTHabcd%08d `+
				`eventID=04Dmt8BcT_aEgM%06d source=rul1bufGk5dJdRYw50g4 requestType=SelfServiceRegistration outcome=DENY reason=NotAllowed policy="" `+
				`attribute=email digest=sha256:%064d duration=2.1e-05 credential=okta domain=d%d.example`, i, i, i, 0, i)
		},
		"bodies": func(i int) string {
			call, err := oktasim.Registration{Email: fmt.Sprintf("user%d@d%d.example", i, i)}.Call()
			if err != nil {
				b.Fatal(err)
			}
			return string(call.Body)
		},
		"table": func(i int) string { return fmt.Sprintf("user%d@d%d.example,,rul1bufGk5dJdRYw50g4,", i, i) },
		"list":  func(i int) string { return fmt.Sprintf("user%d@d%d.example", i, i) },
	} {
		b.Run(name, func(b *testing.B) {
			var lines bytes.Buffer
			for i := range domains {
				fmt.Fprintln(&lines, line(i))
			}
			r := &replay{
				options: &replayOptions{}, policies: &policysource.Set{}, decider: pastdecision.New(policies, []string{"email", "login"}), groups: map[group]int{},
			}
			text := lines.Bytes()
			first := []byte{}
			if name == "table" {
				first = []byte("email,login,source,requestType\n")
			}
			options := pastcalls.Options{Attributes: []string{"email", "login"}, RequestType: okta.SelfServiceRegistration}
			input := &endless{lines: text, left: len(text) / domains * b.N}
			b.SetBytes(int64(len(text) / domains))
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := pastcalls.Read(io.MultiReader(bytes.NewReader(first), input), options, r.add); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			var memory runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&memory)
			b.ReportMetric(float64(memory.HeapAlloc)/1e6, "heap-MB")
			b.ReportMetric(float64(r.counts.Calls)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
