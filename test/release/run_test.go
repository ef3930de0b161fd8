//go:build linux

package release

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for a process.
const patience = 30 * time.Second

// contain runs a program in a root directory that it cannot write to, as the image's user. $1 is the directory, the
// rest the program with its arguments. Only the directories that a pod mounts can be written to.
const contain = `
root=$1
shift
mount --bind "$root" "$root"
mount --bind "$root/var/lib/registration-policy" "$root/var/lib/registration-policy"
mount -o remount,bind,ro "$root"
exec chroot --userspec=65532:65532 "$root" "$@"`

// unpackImage writes the image of this machine's architecture into a directory, with the directories that a pod mounts.
func unpackImage(t *testing.T) string {
	t.Helper()
	byArchitecture, _ := images(t)
	image := byArchitecture[runtime.GOARCH]
	if image == nil { // a machine that is neither amd64 nor arm64 cannot run the programs
		t.Skip("no image for this architecture")
	}
	if os.Getuid() != 0 { // there is no container engine to do it
		t.Skip("needs root, to change the root directory and the user")
	}
	root := filepath.Join(t.TempDir(), "root")
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command("tar", "--extract", "--gzip", "--preserve-permissions", "--directory", root)
		command.Stdin = content
		if text, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	for directory, owner := range map[string]int{"etc/registration-policy": 0, "policies": 0, "var/lib/registration-policy": 65532} {
		path := filepath.Join(root, directory)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func contained(root string, program ...string) *exec.Cmd {
	command := exec.Command("unshare", append([]string{"--mount", "sh", "-euc", contain, "contain", root}, program...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestTheImageRunsAsItsUserInAReadOnlyRoot(t *testing.T) {
	root := unpackImage(t)
	for _, program := range []string{"operator", "regpol"} {
		text, err := contained(root, "/"+program, "--version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(text), program+" "+version+" (commit ") {
			t.Fatalf("%s --version: %v: %s", program, err, text)
		}
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o440); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 0, 65532); err != nil { // like fsGroup
			t.Fatal(err)
		}
	}
	write("etc/registration-policy/hook-auth/okta", "a-credential-of-the-test\n")
	write("policies/acme.yaml", `apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: acme, namespace: registration-policy}
spec: {allow: {domains: [acme.com]}}
`)
	hook, probes, metrics := freeAddress(t), freeAddress(t), freeAddress(t)
	operator := contained(root, "/operator", "--policy-dir=/policies", "--hook-auth-dir=/etc/registration-policy/hook-auth",
		"--hook-bind-address="+hook, "--probe-bind-address="+probes, "--metrics-bind-address="+metrics, "--drain-delay=0s")
	var log bytes.Buffer
	operator.Stdout, operator.Stderr = &log, &log
	if err := operator.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- operator.Wait() }()
	stop := func() error {
		_ = operator.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			_ = operator.Process.Kill()
			return fmt.Errorf("not ended within %s", patience)
		}
	}
	deadline := time.Now().Add(patience)
	for {
		answer, err := http.Get("http://" + probes + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %v, %v\n%s", err, stop(), log.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", operator.Process.Pid))
	if err != nil || !bytes.Contains(status, []byte("\nUid:\t65532\t65532\t65532\t65532\n")) {
		t.Errorf("the operator runs as another user: %v\n%s", err, status)
	}
	// The image's own regpol calls it, as `helm test` does.
	for address, want := range map[string]string{"jo@acme.com": "allowed\n", "jo@elsewhere.example": "denied\n"} {
		text, _ := contained(root, "/regpol", "call", "http://"+hook+"/okta/registration", address, "--plain-http",
			"--credential-file=/etc/registration-policy/hook-auth/okta").CombinedOutput()
		if !strings.HasPrefix(string(text), want) {
			t.Errorf("a call of %s: %s\n%s", address, text, log.String())
		}
	}
	if err := stop(); err != nil {
		t.Errorf("the operator ended with %v\n%s", err, log.String())
	}
	if text, err := contained(root, "/operator", "--policy-dir=/policies", "--hook-auth-dir=/etc/registration-policy/hook-auth",
		"--snapshot-dir=/policies").CombinedOutput(); err == nil {
		t.Errorf("the root can be written to: %s", text)
	}
}
