package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"registrationpolicy.dev/operator/test/assets"
	"registrationpolicy.dev/operator/test/fixture"
)

// patience is how long the test waits. It is long because make dev builds the operator.
const patience = 5 * time.Minute

func TestDev(t *testing.T) {
	t.Chdir("../..")
	if err := assets.Provide(); err != nil {
		t.Fatal(err)
	}
	newOptions := func() *options {
		return &options{dir: t.TempDir(), hook: fixture.FreeAddress(t), probes: fixture.FreeAddress(t), metrics: fixture.FreeAddress(t)}
	}
	o := newOptions()
	out, await := start(t, o)
	await("it answers", func() bool { return strings.Contains(out.String(), "Stop with Ctrl-C.") })

	t.Run("it prints a call that is answered at the address given", func(t *testing.T) {
		_, call, found := strings.Cut(out.String(), "  curl ")
		call, _, _ = strings.Cut(call, "\n\n")
		if !found || !strings.Contains(call, "http://"+o.hook+"/") {
			t.Fatalf("it prints\n%s", out)
		}
		if got := shell(t, "curl "+call); !strings.Contains(got, `"registration":"ALLOW"`) {
			t.Errorf("%s: %s", call, got)
		}
	})
	kubectl := func(args string) string {
		return shell(t, filepath.Join(os.Getenv(assets.Variable), "kubectl")+" --kubeconfig "+filepath.Join(o.dir, "kubeconfig")+" "+args)
	}
	t.Run("policies are in the context's namespace, a list among them", func(t *testing.T) {
		kubectl("wait --for=condition=Accepted regpol --all")
		if got := kubectl("get regpol,configmaps -o name"); !strings.Contains(got, "/acme\n") || !strings.Contains(got, "configmap/disposable-domains") {
			t.Error(got)
		}
		const stranger = `{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"email":"jo@mailinator.com"}}}`
		if got := post(t, o.hook, stranger); !strings.Contains(got, "permanent address") {
			t.Errorf("an address of the list is answered %s", got)
		}
	})
	t.Run("kubectl apply warns", func(t *testing.T) {
		policy := filepath.Join(t.TempDir(), "policy.yaml")
		text := "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: open}\nspec: {allow: {domains: [gmail.com]}}\n"
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// The API server applies a new ValidatingAdmissionPolicy after a moment.
		fixture.Eventually(t, patience, func() string {
			got := kubectl("apply --dry-run=server -f " + policy)
			if strings.Contains(got, "Warning:") && strings.Contains(got, "gmail.com: anybody can get an address there") {
				return ""
			}
			return "no warning: " + got
		})
	})
	t.Run("a second one is refused", func(t *testing.T) {
		sameFolder, sameHook, demo := newOptions(), newOptions(), newOptions()
		sameFolder.dir, sameHook.hook = o.dir, o.hook
		demo.hook, demo.proxy = o.hook, fixture.FreeAddress(t)
		for want, second := range map[string]*options{
			"another make dev runs in this folder":          sameFolder,
			"another process listens at " + sameHook.hook:   sameHook,
			"(make dev HOOK=… PROBES=… METRICS=…)":          sameHook,
			"(make demo HOOK=… PROBES=… METRICS=… PROXY=…)": demo,
		} {
			if err := second.run(t.Context(), &fixture.Transcript{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		}
	})
}

func shell(t *testing.T, line string) string {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), "bash", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, text)
	}
	return string(text)
}

func post(t *testing.T, hook, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+hook+"/okta/registration", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// start runs the program with these options until the test ends. await waits until a condition holds, and fails if the
// program ends before.
func start(t *testing.T, o *options) (out *fixture.Transcript, await func(what string, holds func() bool)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out = new(fixture.Transcript)
	ended := make(chan error, 1)
	go func() { ended <- o.run(ctx, out) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return out, func(what string, holds func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !holds(); {
			select {
			case err := <-ended:
				ended <- nil
				t.Fatalf("%v\n%s", err, out)
			case <-time.After(50 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				t.Fatalf("not within %v: %s\n%s", patience, what, out)
			}
		}
	}
}
