package manual

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shell runs the commands of a page in a directory, with kubectl and regpol on $PATH.
type shell struct {
	dir       string
	variables []string
}

func newShell(t *testing.T, variables ...string) *shell {
	t.Helper()
	dir := t.TempDir()
	path := strings.Join([]string{dir, programs, os.Getenv("KUBEBUILDER_ASSETS"), os.Getenv("PATH")}, string(os.PathListSeparator))
	return &shell{dir: dir, variables: append([]string{"PATH=" + path, "HOME=" + dir, "TMPDIR=" + dir}, variables...)}
}

func (s *shell) write(t *testing.T, file, text string) {
	t.Helper()
	write(t, filepath.Join(s.dir, file), text)
}

// command is a command of a console block, with the output that the page quotes.
type command struct {
	text   string
	output []string
}

// commands returns the commands of a console block. A command continues after a backslash at the end of a line, and in
// a here-document.
func (b *block) commands() []command {
	var found []command
	for i := 0; i < len(b.lines); i++ {
		text, isCommand := strings.CutPrefix(b.lines[i], "$ ")
		if !isCommand {
			last := len(found) - 1
			found[last].output = append(found[last].output, b.lines[i])
			continue
		}
		for strings.HasSuffix(text, `\`) {
			i++
			text += "\n" + b.lines[i]
		}
		if strings.Contains(text, "<<EOF") || strings.Contains(text, "<<'EOF'") {
			for !strings.HasSuffix(text, "\nEOF") {
				i++
				text += "\n" + b.lines[i]
			}
		}
		found = append(found, command{text: text})
	}
	return found
}

// run runs all commands of a console block in one shell. It fails the test unless each prints the quoted output.
func (s *shell) run(t *testing.T, p *page, name string) {
	t.Helper()
	const end = "--- end of a command"
	block := p.block(t, name)
	if block.language != "console" {
		t.Fatalf("docs/%s:%d: commands stand in a block of the language %q, not console", p.file, block.line, block.language)
	}
	commands := block.commands()
	var script strings.Builder
	for _, command := range commands {
		fmt.Fprintf(&script, "%s\necho; echo '%s'\n", command.text, end)
	}
	process := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	process.Dir = s.dir
	process.Env = slices.Clone(s.variables)
	output, err := process.CombinedOutput()
	if err != nil {
		t.Fatalf("docs/%s:%d: %v\n%s", p.file, block.line, err, output)
	}
	printed := strings.Split(string(output), "\n"+end+"\n")
	for i, command := range commands {
		if !matches(lines(strings.Join(command.output, "\n")), lines(printed[i])) {
			t.Errorf("docs/%s:%d: $ %s\nthe page says\n%s\nand it prints\n%s",
				p.file, block.line, command.text, strings.Join(command.output, "\n"), printed[i])
		}
	}
}

// hasJQ reports whether jq is installed, which the tests do not require.
func hasJQ() bool {
	_, err := exec.LookPath("jq")
	return err == nil
}

// runWithJQ runs a block that uses jq. If there is no jq, it takes the other way to the same effect.
func (s *shell) runWithJQ(t *testing.T, p *page, name string, otherwise func()) {
	t.Helper()
	if hasJQ() {
		s.run(t, p, name)
		return
	}
	p.block(t, name) // not run
	otherwise()
}

// command runs a command that is not on a page.
func (s *shell) command(t *testing.T, text string) string {
	t.Helper()
	process := exec.CommandContext(t.Context(), "bash", "-c", text)
	process.Dir = s.dir
	process.Env = slices.Clone(s.variables)
	output, err := process.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", text, err, output)
	}
	return string(output)
}

// public makes an operator reachable as the pages assume: as hook.example.com, with a trusted certificate. It adds to
// the shell a regpol that gets the address of this host and the CA by flags.
func (s *shell) public(t *testing.T, op *operator, chain *chain) {
	t.Helper()
	_, port, found := strings.Cut(strings.TrimPrefix(op.hookURL, "http://127.0.0.1"), ":")
	port, _, cut := strings.Cut(port, "/")
	if !found || !cut {
		t.Fatalf("no port in %s", op.hookURL)
	}
	s.write(t, "roots.pem", string(chain.root))
	s.write(t, "regpol", fmt.Sprintf("#!/bin/sh\nexec %s/regpol \"$@\" --resolve hook.example.com:443:127.0.0.1:%s --ca-file roots.pem\n",
		programs, port))
	if err := os.Chmod(filepath.Join(s.dir, "regpol"), 0o700); err != nil {
		t.Fatal(err)
	}
}
