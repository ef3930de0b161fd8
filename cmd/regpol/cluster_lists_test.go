//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/internal/listsync"
)

func TestListsInACluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	c := startCluster(t)
	c.kubectl(t, "create", "namespace", "exit")
	lists := func(stdin string, args ...string) verbtest.Result {
		return runRegpol(t, stdin, append(append([]string{"lists"}, args...), "-n", "exit", "--kubeconfig", c.kubeconfig)...)
	}
	file := func(name string) string { return filepath.Join(listsFiles, name) }

	t.Run("without the definition of policies the guard sees nothing, and nothing is written", func(t *testing.T) {
		got := lists("", "sync", "disposable", file("disposable.txt"))
		if got.Code != console.ExitFault || !strings.Contains(got.Err, "install the CustomResourceDefinition first") {
			t.Errorf("exit code %d\n%s", got.Code, got.Err)
		}
	})
	c.kubectl(t, "apply", "-k", "config/crd")
	c.kubectl(t, "wait", "--for=condition=Established", "crd/registrationpolicies.registrationpolicy.dev")
	c.kubectl(t, "apply", "-n", "exit", "-f", "config/samples/quickstart/acme.yaml")

	for _, test := range []struct {
		sentence string
		stdin    string
		args     []string
		code     int
		want     string // on either stream
	}{
		{"done", "", []string{"sync", "disposable", file("disposable.txt")}, console.ExitAllowed, "done  exit/disposable\n"},
		{"nothing to do", "", []string{"sync", "disposable", file("disposable.txt")}, console.ExitAllowed, "unchanged  exit/disposable\n"},
		{"refused", "", []string{"sync", "disposable", file("poisoned.txt")}, console.ExitDenied, "acme.com denies acme.com, which exit/acme allows by name"},
		{"standard input", "acme.example\n", []string{"sync", "customers", "-", "--for", "allow"}, console.ExitAllowed, "done  exit/customers\n"},
		{"a provider in a list for allowing", "gmail.com\n", []string{"sync", "customers", "-", "--for", "allow"}, console.ExitDenied, "anybody can get an address there"},
		{"no such file", "", []string{"sync", "disposable", "away.txt"}, console.ExitUsage, "no such file"},
		{"two words", "", []string{"sync", "disposable", "a b"}, console.ExitUsage, `there is no such file: "a b": give a file, a URL that begins with https://`},
		{"a URL with a blank", "", []string{"sync", "disposable", "https://lists.example.com/a b"}, console.ExitUsage, "write a space as %20"},
		{"nothing for a source", "", []string{"sync", "disposable", ""}, console.ExitUsage, "it is empty: give a file"},
		{"an http URL", "", []string{"sync", "disposable", "http://lists.example.com/?key=hunter2"}, console.ExitUsage, "give an https URL"},
		{"no list at all", "", []string{"sync", "disposable", os.DevNull}, console.ExitDenied, "this is not a list"},
		{"a source that is away", "", []string{"sync", "disposable", "https://jo:hunter2@127.0.0.1:1/?key=hunter2"}, console.ExitFault, "127.0.0.1:1 refuses connections: check the host"},
		{"too large", "", []string{"sync", "disposable", file("disposable.txt"), "--max-size", "10"}, console.ExitFault, "larger than 10 bytes"},
		{"too many", "", []string{"sync", "disposable", file("disposable.txt"), "--max-entries", "3"}, console.ExitFault, "--max-entries allows 3"},
		{"another content", "", []string{"sync", "disposable", file("disposable.txt"), "--sha256", strings.Repeat("0", 64)}, console.ExitDenied, "--sha256 requires sha256:0000"},
		{"of somebody else", "", []string{"sync", "kube-root-ca", file("disposable.txt")}, console.ExitUsage, "--adopt"},
		{"nothing to go back to", "", []string{"rollback", "customers"}, console.ExitUsage, "no such content is kept"},
		{"an invalid name", "", []string{"sync", "Disposable", file("disposable.txt")}, console.ExitUsage, "is not a valid name of a list"},
		{"an invalid digest", "", []string{"sync", "disposable", file("disposable.txt"), "--accept", "yes"}, console.ExitUsage, "--accept: not a digest: write sha256:"},
		{"an invalid percentage", "", []string{"sync", "disposable", file("disposable.txt"), "--max-change", "NaN"}, console.ExitUsage, `--max-change: "NaN" is not a percentage: write it as 20%`},
		{"an invalid size", "", []string{"sync", "disposable", file("disposable.txt"), "--max-size", "big"}, console.ExitUsage, "--max-size: \"big\" is not a size: write it as 500k"},
		{"kept for too short", "", []string{"sync", "disposable", file("disposable.txt"), "--keep", "1m"}, console.ExitUsage, "--keep: 1m0s is too short: write at least 10m0s"},
		{"another use", "", []string{"sync", "disposable", file("disposable.txt"), "--for", "audit"}, console.ExitUsage, `--for: "audit": write one of deny, allow`},
		{"no source", "", []string{"sync", "disposable"}, console.ExitUsage, "give the NAME of a list, and then a FILE, a URL, or - for standard input"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			if test.sentence == "of somebody else" {
				c.kubectl(t, "create", "configmap", "kube-root-ca", "-n", "exit", "--from-literal=a=b")
			}
			got := lists(test.stdin, test.args...)
			if got.Code != test.code || !strings.Contains(got.Out+got.Err, test.want) || strings.Contains(got.Out+got.Err, "hunter2") {
				t.Errorf("exit code %d, want %d and %q\n%s%s", got.Code, test.code, test.want, got.Out, got.Err)
			}
		})
	}
	t.Run("every one that came so far has its Event, without a secret of the URL", func(t *testing.T) {
		told := c.kubectl(t, "get", "events.events.k8s.io", "-n", "exit", "-o", `jsonpath={range .items[*]}{.reason} {.note}{"\n"}{end}`)
		for _, reason := range listsync.EventReasons() {
			if !strings.Contains(told, reason+" ") {
				t.Errorf("no Event %s:\n%s", reason, told)
			}
		}
		if strings.Contains(told, "hunter2") {
			t.Error(told)
		}
	})
	t.Run("more than the namespace may take", func(t *testing.T) {
		limit := func(bytes string) {
			c.kubectl(t, "patch", "-n", "exit", "regpol/acme", "--subresource=status", "--type=merge",
				"-p", `{"status":{"namespaceMemoryLimitBytes":`+bytes+`}}`)
		}
		limit("70000")
		got := lists("", "sync", "large", file("disposable.txt"), "--dry-run")
		if got.Code != console.ExitDenied || !strings.Contains(got.Out, "OverBudget") || !strings.Contains(got.Out, "69 KiB that namespace exit may take") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
		limit("null")
		got = lists("", "sync", "large", file("disposable.txt"), "--dry-run")
		if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "memory     65 KiB; the limit of the namespace is not known, because no status of a policy was read that states it\n") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("for a program", func(t *testing.T) {
		got := lists("", "sync", "disposable", file("poisoned.txt"), "-o", "json")
		var r listsync.Report
		if err := json.Unmarshal([]byte(got.Out), &r); err != nil || got.Code != console.ExitDenied || r.Outcome != listsync.Refused || r.Accept != r.Digest {
			t.Errorf("%v, exit code %d\n%s", err, got.Code, got.Out)
		}
		if got := lists("", "sync", "disposable", file("poisoned.txt"), "-o", "yaml"); !strings.Contains(got.Out, "outcome: refused\n") {
			t.Errorf("%s", got.Out)
		}
	})
	t.Run("who may not is told so", func(t *testing.T) {
		user, err := c.env.AddUser(envtest.User{Name: "stranger"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := user.KubeConfig()
		if err != nil {
			t.Fatal(err)
		}
		got := runRegpol(t, "", "lists", "sync", "disposable", file("disposable.txt"), "-n", "exit", "--kubeconfig", verbtest.WriteKubeconfig(t, text))
		if got.Code != console.ExitFault || !strings.Contains(got.Err, "you do not have the right") {
			t.Errorf("exit code %d\n%s", got.Code, got.Err)
		}
	})
	t.Run("an API server that is away", func(t *testing.T) {
		away := c.altered(t, func(config *clientcmdapi.Config) {
			for _, cluster := range config.Clusters {
				cluster.Server = "https://127.0.0.1:1"
			}
		})
		got := runRegpol(t, "", "lists", "sync", "disposable", file("disposable.txt"), "-n", "exit", "--kubeconfig", away)
		if got.Code != console.ExitFault || !strings.Contains(got.Err, "127.0.0.1:1 refuses connections: check --kubeconfig and --context") {
			t.Errorf("exit code %d\n%s", got.Code, got.Err)
		}
	})
	t.Run("what the pages show", c.followPages)
	t.Run("what the page about Git fetches", c.fetchLists)
	t.Run("the examples of the help", c.runListsExamples)
}
