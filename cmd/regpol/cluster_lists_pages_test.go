//go:build unix

package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/test/assets"
)

// listsFiles are the files of that reader. Tests change the working directory.
var listsFiles, _ = filepath.Abs(filepath.Join("testdata", "lists"))

// listsHost is where the pages have their lists.
const listsHost = "lists.example.com"

// listsReader is somebody who follows a page about lists: a folder, a namespace with a policy, and a network in which
// the host of the lists is a server of the test.
type listsReader struct {
	dir string
	env []string
}

func newListsReader(t *testing.T, c *testCluster, namespace string) *listsReader {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin, r := t.TempDir(), &listsReader{dir: t.TempDir()}
	for name, target := range map[string]string{"regpol": self, "kubectl": filepath.Join(os.Getenv(assets.Variable), "kubectl")} {
		if err := os.Symlink(target, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(r.dir, os.DirFS(listsFiles)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(r.dir, "crm-domains"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, "create", "namespace", namespace)
	c.kubectl(t, "apply", "-n", namespace, "-f", "config/samples/quickstart/acme.yaml")
	// What the operator would write.
	c.kubectl(t, "patch", "-n", namespace, "regpol/acme", "--subresource=status", "--type=merge",
		"-p", `{"status":{"namespaceMemoryLimitBytes":67108864}}`)
	kubeconfig := c.altered(t, func(config *clientcmdapi.Config) {
		for _, context := range config.Contexts {
			context.Namespace = namespace
		}
	})
	proxy, ca := startLists(t)
	r.env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig,
		"HTTPS_PROXY="+proxy, "https_proxy="+proxy, "SSL_CERT_FILE="+ca, "CURL_CA_BUNDLE="+ca, "HOME="+r.dir)
	return r
}

// run runs a line of shell, and returns what it prints.
func (r *listsReader) run(t *testing.T, script string) string {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "bash", "-uo", "pipefail", "-c", script)
	shell.Dir, shell.Env = r.dir, r.env
	out, err := shell.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out)
}

// startLists serves testdata/lists as the host of the lists, behind a proxy that leads there. It returns the proxy's
// URL and a file with the authority.
func startLists(t *testing.T) (proxy, ca string) {
	t.Helper()
	dir := t.TempDir()
	verbtest.WriteCertificate(t, dir, listsHost)
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	lists, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServerFS(os.DirFS(listsFiles))}
	go func() { _ = server.Serve(lists) }()
	t.Cleanup(func() { _ = server.Close() })

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go tunnel(connection, lists.Addr().String())
		}
	}()
	return "http://" + listener.Addr().String(), filepath.Join(dir, "tls.crt")
}

// tunnel answers one CONNECT for the host of the lists.
func tunnel(from net.Conn, address string) {
	defer from.Close()
	reader := bufio.NewReader(from)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect || request.Host != listsHost+":443" {
		_, _ = io.WriteString(from, "HTTP/1.1 403 Forbidden\r\n\r\n")
		return
	}
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(to, reader) }()
	_, _ = io.Copy(from, to)
}

// quotes reports whether a page quotes the lines of an output. A line with only … stands for any lines.
func quotes(quoted, output []string) bool {
	switch {
	case len(quoted) == 0:
		return len(output) == 0
	case quoted[0] == "…":
		return quotes(quoted[1:], output) || len(output) > 0 && quotes(quoted, output[1:])
	default:
		return len(output) > 0 && quoted[0] == output[0] && quotes(quoted[1:], output[1:])
	}
}

// followPages runs the commands of the pages about lists, in the order of each page.
func (c *testCluster) followPages(t *testing.T) {
	for i, page := range []string{"docs/policies/lists-sync.md", "docs/reference/regpol-lists-sync.md"} {
		t.Run(page, func(t *testing.T) {
			r := newListsReader(t, c, []string{"recipes", "reference"}[i])
			shown := 0
			for block := range strings.SplitSeq(verbtest.ReadText(t, filepath.Join(verbtest.WorkTree, page)), "```console\n") {
				text, _, _ := strings.Cut(block, "```")
				for i, step := range strings.Split("\n"+text, "\n$ ") {
					if i == 0 { // what stands before the first command
						continue
					}
					command, want, _ := strings.Cut(step, "\n")
					for strings.HasSuffix(command, `\`) { // goes on in the next line
						line, rest, _ := strings.Cut(want, "\n")
						command, want = strings.TrimSuffix(command, `\`)+strings.TrimSpace(line), rest
					}
					shown++
					lines := func(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }
					if got := r.run(t, command); !quotes(lines(want), lines(got)) {
						t.Errorf("$ %s\nprints\n%s", command, got)
					}
				}
			}
			if shown < 3 {
				t.Errorf("%d commands", shown)
			}
		})
	}
}

// runListsExamples runs every example of the help.
func (c *testCluster) runListsExamples(t *testing.T) {
	r := newListsReader(t, c, "registration-policy")
	r.run(t, "sha256sum < disposable.txt | cut -c-64 > sum")
	ran := 0
	for _, name := range []string{"sync", "rollback"} {
		command, _, err := newRoot("regpol", console.Streams{}).Find([]string{"lists", name})
		if err != nil {
			t.Fatal(err)
		}
		if name == "rollback" { // something to go back from
			r.run(t, "regpol lists sync disposable-domains poisoned.txt --accept $(sha256sum < poisoned.txt | cut -c-64)")
		}
		for line := range strings.Lines(command.Example) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			ran++
			got := r.run(t, strings.ReplaceAll(line, "DIGEST", "$(cat sum)")+"; echo exit $?")
			if !strings.Contains(got, "exit 0\n") {
				t.Errorf("%s\n%s", line, got)
			}
		}
	}
	if ran < 5 {
		t.Errorf("%d examples", ran)
	}
}
