package call

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/test/vectors"
)

// callPage returns the reference page of call.
func callPage(t *testing.T) string {
	t.Helper()
	return verbtest.ReferencePage(t, "regpol-call.md")
}

// changing is what differs from call to call: the id of the decision.
var changing = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)

// believer runs regpol as a program whose public authority has issued the operator's certificate.
func believer(t *testing.T, op runningOperator) func(args ...string) verbtest.Result {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, verbtest.Program)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteTo(t, filepath.Join(dir, "credential"), hookCredential+"\n")
	verbtest.WriteTo(t, filepath.Join(dir, "wrong"), "not-"+hookCredential+"\n")
	return func(args ...string) verbtest.Result {
		args = append(args, "--resolve", hookHost+":443:"+op.address)
		process := exec.CommandContext(t.Context(), link, args...)
		process.Dir, process.Env = dir, append(os.Environ(), "SSL_CERT_FILE="+op.ca)
		var out, err bytes.Buffer
		process.Stdout, process.Stderr = &out, &err
		_ = process.Run()
		return verbtest.Result{Code: process.ProcessState.ExitCode(), Out: out.String(), Err: err.String()}
	}
}

func TestThePageShowsWhatCallPrints(t *testing.T) {
	regpol := believer(t, startOperator(t))
	shown := 0
	for block := range strings.SplitSeq(callPage(t), "```console\n") {
		command, rest, _ := strings.Cut(block, "\n")
		if !strings.HasPrefix(command, "$ regpol ") {
			continue
		}
		shown++
		want, _, _ := strings.Cut(rest, "```")
		got := regpol(strings.Fields(command)[2:]...)
		if !looksLike(got.Out, want) {
			t.Errorf("%s prints\n%s%s", command, got.Out, got.Err)
		}
	}
	if shown < 3 {
		t.Errorf("%d commands with their output", shown)
	}
}

// looksLike compares line by line, but for what changes; … at the end of a line leaves its rest out.
func looksLike(got, want string) bool {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(gotLines) != len(wantLines) {
		return false
	}
	for i := range wantLines {
		g, w := changing.ReplaceAllString(gotLines[i], "#"), changing.ReplaceAllString(wantLines[i], "#")
		begin, cut := strings.CutSuffix(w, "…")
		if g != w && (!cut || !strings.HasPrefix(g, begin)) {
			return false
		}
	}
	return true
}

func TestThePageHasEveryFlagMemberAndFaultOfCall(t *testing.T) {
	want := map[string]string{}
	Command(console.Streams{}).Flags().VisitAll(func(flag *pflag.Flag) { want["--"+flag.Name] = "" })
	verbtest.AddMembers(want, "", reflect.TypeFor[hookReport]())
	for _, d := range hookcheck.Definitions() {
		want[string(d.Name)] = fmt.Sprintf(" %s | %s | %s ", d.Level, d.Meaning, d.Fix)
	}
	got := map[string]string{}
	for line := range strings.Lines(callPage(t)) {
		row, isRow := strings.CutPrefix(line, "| `")
		name, rest, _ := strings.Cut(row, "`")
		if !isRow {
			continue
		}
		got[name] = ""
		if want[name] != "" {
			rest = rest[strings.Index(rest, "|")+1:]
			got[name] = rest[:strings.LastIndex(rest, "|")]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the page (-code +page):\n%s", diff)
	}
}

func TestTheExamplesOfCallRun(t *testing.T) {
	hook := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/okta/registration" || r.Header.Get("Authorization")+r.Header.Get("X-Registration-Hook-Key") != hookCredential {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, allowAnswer)
	})
	dir := t.TempDir()
	verbtest.WriteCertificate(t, dir, hookHost)
	verbtest.WriteTo(t, filepath.Join(dir, "ca.crt"), verbtest.ReadText(t, filepath.Join(dir, "tls.crt")))
	verbtest.WriteTo(t, filepath.Join(dir, "credential"), hookCredential+"\n")
	verbtest.WriteTo(t, filepath.Join(dir, "call.json"), string(vectors.OktaRequests()[0].Body))
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := httptest.NewServer(hook), httptest.NewUnstartedServer(hook)
	t.Cleanup(plain.Close)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	secure.StartTLS()
	t.Cleanup(secure.Close)

	ran := 0
	for line := range strings.Lines(strings.ReplaceAll(Command(console.Streams{}).Example, "\\\n", " ")) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "regpol" {
			continue
		}
		ran++
		t.Run(strings.Join(words[1:], " "), func(t *testing.T) {
			t.Chdir(dir)
			got := verbtest.RunHere(t, Command, "", append(words[1:], "--ca-file", "ca.crt",
				"--resolve", hookHost+":443:"+secure.Listener.Addr().String(),
				"--resolve", hookHost+":8080:"+plain.Listener.Addr().String())...)
			if got.Code != console.ExitAllowed || !strings.Contains(got.Out, verdictAllowed) {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
	if ran < 6 {
		t.Errorf("%d examples", ran)
	}
}
