package gitrevision

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// errGit is matched by the error of a git command that ran and failed.
var errGit = errors.New("git failed")

// gitError holds what a git command printed before it failed.
type gitError struct{ text string }

func (e *gitError) Error() string { return "git: " + e.text }

func (e *gitError) Is(target error) bool { return target == errGit }

// placeVariables are the environment variables that tell git where the repository is. Git sets them for its hooks. They
// are removed, so that git uses the repository of the directory in which it runs.
var placeVariables = []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_INDEX_FILE"}

// command returns a git command that runs in a directory.
func command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // the program is fixed, and no shell reads the arguments
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(placeVariables, name)
	})
	cmd.Env = append(cmd.Env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0") // English messages, and no lock files
	return cmd
}

// run runs git in a directory and returns what it printed.
func run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := command(ctx, dir, args...)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		return nil, describe(err, messages.String())
	}
	return out.Bytes(), nil
}

// describe turns an error of the program git into a sentence. messages is what git printed to standard error.
func describe(err error, messages string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("the program git is not on the PATH: install it, or give files that are checked out")
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Exited() {
		return fmt.Errorf("git: %w", err)
	}
	text := strings.TrimPrefix(strings.Join(strings.Fields(messages), " "), "fatal: ")
	if text == "" {
		text = exit.Error()
	}
	return &gitError{text}
}

// read reads files of the revision's tree with one git process.
func (r *Revision) read(ctx context.Context, p place, files []located, maxBytes int64) ([]File, error) {
	if len(files) == 0 {
		return nil, nil
	}
	var names strings.Builder
	for _, file := range files {
		if strings.Contains(file.inTree, "\n") { // git cat-file reads one name a line
			return nil, fmt.Errorf("%q: the name has a line break: rename the file", r.Label(file.path))
		}
		names.WriteString(p.object(file.inTree) + "\n")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // stops git after an error
	cmd := command(ctx, p.dir, "cat-file", "--batch", "--follow-symlinks")
	cmd.Stdin = strings.NewReader(names.String())
	var messages bytes.Buffer
	cmd.Stderr = &messages
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, describe(err, "")
	}
	out := bufio.NewReader(pipe)
	var found []File
	for _, file := range files {
		text, isFile, err := next(out, maxBytes)
		if err != nil {
			cancel()
			_ = cmd.Wait() // err already says what is wrong
			return nil, fmt.Errorf("%s: %w", r.Label(file.path), err)
		}
		if isFile {
			found = append(found, File{file.path, text})
		}
	}
	if err := cmd.Wait(); err != nil {
		return nil, describe(err, messages.String())
	}
	return found, nil
}

// next reads the next object of `git cat-file --batch --follow-symlinks`. isFile is false for a symbolic link to a
// directory.
func next(out *bufio.Reader, maxBytes int64) (text []byte, isFile bool, _ error) {
	header, err := out.ReadString('\n')
	if err != nil {
		return nil, false, fmt.Errorf("git ended early: %w", err)
	}
	fields := strings.Fields(header)
	if len(fields) == 2 && slices.Contains([]string{"dangling", "loop", "notdir", "symlink"}, fields[0]) {
		return nil, false, errors.New("a symbolic link to nothing in this revision: commit the file itself")
	}
	if len(fields) != 3 { // git answers "OBJECT missing" for an object that it does not have
		return nil, false, errors.New("git does not have the content: fetch the revision completely")
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("git answers %q", strings.TrimSpace(header))
	case fields[1] != "blob":
		_, err := io.CopyN(io.Discard, out, size+1) // a line break follows the content
		return nil, false, err
	case size > maxBytes:
		return nil, false, fmt.Errorf("over %d bytes; split it into several files", maxBytes)
	}
	text = make([]byte, size+1)
	if _, err := io.ReadFull(out, text); err != nil {
		return nil, false, fmt.Errorf("git ended early: %w", err)
	}
	return text[:size], true, nil
}
