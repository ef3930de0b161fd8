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

	"registrationpolicy.dev/operator/internal/listsync"
)

func TestListsInACluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	c := startCluster(t)
	c.kubectl(t, "create", "namespace", "exit")
	lists := func(stdin string, args ...string) ran {
		return runRegpol(t, stdin, append(append([]string{"lists"}, args...), "-n", "exit", "--kubeconfig", c.kubeconfig)...)
	}
	file := func(name string) string { return filepath.Join(listsFiles, name) }

	t.Run("without the definition of policies the guard sees nothing, and nothing is written", func(t *testing.T) {
		got := lists("", "sync", "disposable", file("disposable.txt"))
		if got.code != exitFault || !strings.Contains(got.err, "install the CustomResourceDefinition first") {
			t.Errorf("exit code %d\n%s", got.code, got.err)
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
		{"done", "", []string{"sync", "disposable", file("disposable.txt")}, exitAllowed, "done  exit/disposable\n"},
		{"nothing to do", "", []string{"sync", "disposable", file("disposable.txt")}, exitAllowed, "unchanged  exit/disposable\n"},
		{"refused", "", []string{"sync", "disposable", file("poisoned.txt")}, exitDenied, "acme.com denies acme.com, which exit/acme allows by name"},
		{"standard input", "acme.example\n", []string{"sync", "customers", "-", "--for", "allow"}, exitAllowed, "done  exit/customers\n"},
		{"a provider in a list for allowing", "gmail.com\n", []string{"sync", "customers", "-", "--for", "allow"}, exitDenied, "anybody can get an address there"},
		{"no such file", "", []string{"sync", "disposable", "away.txt"}, exitUsage, "no such file"},
		{"two words", "", []string{"sync", "disposable", "a b"}, exitUsage, `there is no such file: "a b": give a file, a URL that begins with https://`},
		{"a URL with a blank", "", []string{"sync", "disposable", "https://lists.example.com/a b"}, exitUsage, "write a space as %20"},
		{"nothing for a source", "", []string{"sync", "disposable", ""}, exitUsage, "it is empty: give a file"},
		{"an http URL", "", []string{"sync", "disposable", "http://lists.example.com/?key=hunter2"}, exitUsage, "give an https URL"},
		{"no list at all", "", []string{"sync", "disposable", os.DevNull}, exitDenied, "this is not a list"},
		{"a source that is away", "", []string{"sync", "disposable", "https://jo:hunter2@127.0.0.1:1/?key=hunter2"}, exitFault, "127.0.0.1:1 refuses connections: check the host"},
		{"too large", "", []string{"sync", "disposable", file("disposable.txt"), "--max-size", "10"}, exitFault, "larger than 10 bytes"},
		{"too many", "", []string{"sync", "disposable", file("disposable.txt"), "--max-entries", "3"}, exitFault, "--max-entries allows 3"},
		{"another content", "", []string{"sync", "disposable", file("disposable.txt"), "--sha256", strings.Repeat("0", 64)}, exitDenied, "--sha256 requires sha256:0000"},
		{"of somebody else", "", []string{"sync", "kube-root-ca", file("disposable.txt")}, exitUsage, "--adopt"},
		{"nothing to go back to", "", []string{"rollback", "customers"}, exitUsage, "no such content is kept"},
		{"a name that is none", "", []string{"sync", "Disposable", file("disposable.txt")}, exitUsage, "is not a valid name of a list"},
		{"a digest that is none", "", []string{"sync", "disposable", file("disposable.txt"), "--accept", "yes"}, exitUsage, "--accept: not a digest: write sha256:"},
		{"a percentage that is none", "", []string{"sync", "disposable", file("disposable.txt"), "--max-change", "NaN"}, exitUsage, `--max-change: "NaN" is not a percentage: write it as 20%`},
		{"a size that is none", "", []string{"sync", "disposable", file("disposable.txt"), "--max-size", "big"}, exitUsage, "--max-size: \"big\" is not a size: write it as 500k"},
		{"kept for too short", "", []string{"sync", "disposable", file("disposable.txt"), "--keep", "1m"}, exitUsage, "--keep: 1m0s is too short: write at least 10m0s"},
		{"another use", "", []string{"sync", "disposable", file("disposable.txt"), "--for", "audit"}, exitUsage, `--for: "audit": write one of deny, allow`},
		{"no source", "", []string{"sync", "disposable"}, exitUsage, "give the NAME of a list, and then a FILE, a URL, or - for standard input"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			if test.sentence == "of somebody else" {
				c.kubectl(t, "create", "configmap", "kube-root-ca", "-n", "exit", "--from-literal=a=b")
			}
			got := lists(test.stdin, test.args...)
			if got.code != test.code || !strings.Contains(got.out+got.err, test.want) || strings.Contains(got.out+got.err, "hunter2") {
				t.Errorf("exit code %d, want %d and %q\n%s%s", got.code, test.code, test.want, got.out, got.err)
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
		if got.code != exitDenied || !strings.Contains(got.out, "OverBudget") || !strings.Contains(got.out, "69 KiB that namespace exit may take") {
			t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
		}
		limit("null")
		got = lists("", "sync", "large", file("disposable.txt"), "--dry-run")
		if got.code != exitAllowed || !strings.Contains(got.out, "memory     65 KiB; the limit of the namespace is not known, because no status of a policy was read that states it\n") {
			t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
		}
	})
	t.Run("for a program", func(t *testing.T) {
		got := lists("", "sync", "disposable", file("poisoned.txt"), "-o", "json")
		var r listsync.Report
		if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != exitDenied || r.Outcome != listsync.Refused || r.Accept != r.Digest {
			t.Errorf("%v, exit code %d\n%s", err, got.code, got.out)
		}
		if got := lists("", "sync", "disposable", file("poisoned.txt"), "-o", "yaml"); !strings.Contains(got.out, "outcome: refused\n") {
			t.Errorf("%s", got.out)
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
		got := runRegpol(t, "", "lists", "sync", "disposable", file("disposable.txt"), "-n", "exit", "--kubeconfig", writeKubeconfig(t, text))
		if got.code != exitFault || !strings.Contains(got.err, "you do not have the right") {
			t.Errorf("exit code %d\n%s", got.code, got.err)
		}
	})
	t.Run("an API server that is away", func(t *testing.T) {
		away := c.altered(t, func(config *clientcmdapi.Config) {
			for _, cluster := range config.Clusters {
				cluster.Server = "https://127.0.0.1:1"
			}
		})
		got := runRegpol(t, "", "lists", "sync", "disposable", file("disposable.txt"), "-n", "exit", "--kubeconfig", away)
		if got.code != exitFault || !strings.Contains(got.err, "127.0.0.1:1 refuses connections: check --kubeconfig and --context") {
			t.Errorf("exit code %d\n%s", got.code, got.err)
		}
	})
	t.Run("what the pages show", c.followPages)
	t.Run("the examples of the help", c.runListsExamples)
}
