// Package gitrevision reads the files of a Git revision with the program git.
package gitrevision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Revision names a commit or a tree. [Revision.Files] resolves the name once in each Git repository, so that all files
// of a repository are from the same commit even if a branch moves. Use it in one goroutine at a time.
type Revision struct {
	name  string
	trees map[string]string // the object id of the resolved tree, by the repository's .git directory
}

// New returns the revision with a name: a branch, a tag, a commit, or a tree such as `git write-tree` prints.
func New(name string) *Revision {
	return &Revision{name: name, trees: map[string]string{}}
}

// Label returns the name of a path for messages: REVISION:PATH.
func (r *Revision) Label(path string) string { return r.name + ":" + path }

// File is a file of a revision.
type File struct {
	// Path is the path that the caller gave, or one below the directory that the caller gave.
	Path string
	// Text is the content.
	Text []byte
}

// Selection says which files of a directory are read.
type Selection struct {
	// Recursive means that the directories below are read, too, without those whose names start with a dot.
	Recursive bool
	// Keep reports whether a file of this base name is read.
	Keep func(name string) bool
	// MaxBytes is the largest size of a file.
	MaxBytes int64
}

// NotFoundError says that a revision has no file or directory at a path. It matches [fs.ErrNotExist].
type NotFoundError struct {
	// Revision is the name of the revision.
	Revision string
	// Path is the path as the caller gave it.
	Path string
}

// Error says what is missing, and the fix.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%s is not in the revision %s: write a path that the revision has", e.Path, e.Revision)
}

// Is reports whether the target is [fs.ErrNotExist].
func (e *NotFoundError) Is(target error) bool { return target == fs.ErrNotExist }

// Files returns the files at a path, sorted by path. The path is given as for the disk: relative to the working
// directory, or absolute. It may be missing on the disk. If it is missing in the revision, Files fails with a
// [NotFoundError]. If it is a file, Files returns that file and does not call selection.Keep. If it is a directory,
// Files returns its files that match the selection, possibly none. Symbolic links to files are followed, as on the
// disk.
func (r *Revision) Files(ctx context.Context, path string, selection Selection) ([]File, error) {
	place, err := r.locate(ctx, path)
	if err != nil {
		return nil, err
	}
	path = filepath.Clean(path)
	if !place.isDirectory {
		return r.read(ctx, place, []located{{place.path, path}}, selection.MaxBytes)
	}
	names, err := r.list(ctx, place, selection)
	if err != nil {
		return nil, err
	}
	files := make([]located, len(names))
	for i, name := range names {
		files[i] = located{join(place.path, name), filepath.Join(path, filepath.FromSlash(name))}
	}
	return r.read(ctx, place, files, selection.MaxBytes)
}

// located is a file: its path in the tree, and its path as the caller would write it.
type located struct{ inTree, path string }

// join joins a path in a tree, "" for the root, and a name.
func join(inTree, name string) string {
	return strings.TrimPrefix(path.Join("/", inTree, name), "/")
}

// place is a file or directory of a revision.
type place struct {
	dir         string // a directory on the disk, inside the repository; git runs there
	tree        string // the object id of the revision's tree
	path        string // the path in the tree, with slashes; "" is the root
	isDirectory bool
}

// object returns the name of a file or directory of the tree in the syntax of git, which is TREE:PATH.
func (p *place) object(inTree string) string { return p.tree + ":" + inTree }

// locate finds a path of the disk in the revision.
func (r *Revision) locate(ctx context.Context, given string) (place, error) {
	if strings.ContainsAny(r.name, ":\n") {
		return place{}, fmt.Errorf("%q is not a revision: write a branch, tag or commit, and the path as an argument", r.name)
	}
	dir, below := existing(filepath.Clean(given))
	p := place{dir: dir}
	answer, err := run(ctx, p.dir, "rev-parse", "--absolute-git-dir", "--show-prefix")
	if err != nil {
		return place{}, r.repositoryError(given, err)
	}
	repository, prefix, _ := strings.Cut(strings.TrimSuffix(string(answer), "\n"), "\n")
	p.path = join(prefix, filepath.ToSlash(below))
	if p.tree = r.trees[repository]; p.tree == "" {
		if p.tree, err = r.resolve(ctx, p.dir, given); err != nil {
			return place{}, err
		}
		r.trees[repository] = p.tree
	}
	kind, err := run(ctx, p.dir, "cat-file", "-t", p.object(p.path))
	switch kind := strings.TrimSpace(string(kind)); {
	case errors.Is(err, errGit), err == nil && kind != "tree" && kind != "blob": // a submodule has the kind commit
		return place{}, &NotFoundError{r.name, given}
	case err != nil:
		return place{}, err
	default:
		p.isDirectory = kind == "tree"
		return p, nil
	}
}

// existing splits a path in two: the longest prefix that is a directory on the disk, and the rest.
func existing(given string) (dir, rest string) {
	for dir = given; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && info.IsDir() || dir == filepath.Dir(dir) {
			return dir, rest
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// resolve returns the id of the tree that the revision has in the Git repository around a directory. given is the path as
// the user wrote it, for the errors.
func (r *Revision) resolve(ctx context.Context, dir, given string) (string, error) {
	unknown := fmt.Errorf("%q is not a revision of the Git repository of %s: write a branch, tag or commit; "+
		"in a pipeline, fetch it before", r.name, given)
	if r.name == "" || strings.HasPrefix(r.name, "-") { // git would read it as an option
		return "", unknown
	}
	tree, err := run(ctx, dir, "rev-parse", "--verify", "--quiet", r.name+"^{tree}")
	if errors.Is(err, errGit) {
		return "", unknown
	}
	return strings.TrimSpace(string(tree)), err
}

// repositoryError describes why git finds no repository at a path.
func (r *Revision) repositoryError(given string, err error) error {
	if errors.Is(err, errGit) && strings.Contains(err.Error(), "not a git repository") {
		return fmt.Errorf("%s is not in a Git repository, so there is no revision %s of it: give a path in a repository", given, r.name)
	}
	return err
}

// list returns the names of the files in a directory, relative to it, sorted.
func (r *Revision) list(ctx context.Context, p place, selection Selection) ([]string, error) {
	args := []string{"ls-tree", "-z", "--full-tree"}
	if selection.Recursive {
		args = append(args, "-r")
	}
	listed, err := run(ctx, p.dir, append(args, p.object(p.path))...)
	if err != nil {
		return nil, err
	}
	var names []string
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		attributes, name, found := strings.Cut(entry, "\t") // MODE TYPE OBJECT
		if !found || !strings.Contains(attributes, " blob ") || !selection.Keep(path.Base(name)) || hiddenBelow(name) {
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

// hiddenBelow reports whether a directory on the way to a file has a name that starts with a dot.
func hiddenBelow(name string) bool {
	dir, _ := path.Split(name)
	return strings.HasPrefix(dir, ".") || strings.Contains(dir, "/.")
}
