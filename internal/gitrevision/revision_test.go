package gitrevision_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/test/fixture"
)

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") && !strings.HasPrefix(name, ".")
}

var directory = gitrevision.Selection{Keep: isYAML, MaxBytes: 1 << 20}

// textsOf returns the texts of files by path.
func textsOf(t *testing.T, revision, path string, selection gitrevision.Selection) map[string]string {
	t.Helper()
	files, err := gitrevision.New(revision).Files(t.Context(), path, selection)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range files {
		texts[filepath.ToSlash(file.Path)] = string(file.Text)
	}
	return texts
}

func TestFilesAreThoseOfTheRevision(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{
		"policies/a.yaml": "old", "policies/b.yaml": "two\nlines\n", "policies/notes.txt": "", "policies/.hidden.yaml": "", "policies/empty.yaml": "",
		"policies/team/c.yaml": "c", "policies/.github/d.yaml": "", "policies/team/.git2/e.yaml": "", "top.yaml": "top",
		"policies/team: *x/ü.yaml": "odd",
	})
	r.Git("tag", "v1")
	r.Commit(map[string]string{"policies/a.yaml": "new"})
	if err := os.RemoveAll("policies"); err != nil { // the work tree does not matter
		t.Fatal(err)
	}
	recursive := directory
	recursive.Recursive = true
	for sentence, test := range map[string]struct {
		revision, path string
		selection      gitrevision.Selection
		want           map[string]string
	}{
		"a directory, by a tag": {"v1", "policies", directory, map[string]string{
			"policies/a.yaml": "old", "policies/b.yaml": "two\nlines\n", "policies/empty.yaml": "",
		}},
		"its last version": {"main", "./policies/", directory, map[string]string{
			"policies/a.yaml": "new", "policies/b.yaml": "two\nlines\n", "policies/empty.yaml": "",
		}},
		"the directories below": {"HEAD", "policies", recursive, map[string]string{
			"policies/a.yaml": "new", "policies/b.yaml": "two\nlines\n", "policies/empty.yaml": "", "policies/team/c.yaml": "c",
			"policies/team: *x/ü.yaml": "odd",
		}},
		"a file, whatever its name": {"HEAD~1", "policies/notes.txt", directory, map[string]string{"policies/notes.txt": ""}},
		"the root":                  {"HEAD", ".", directory, map[string]string{"top.yaml": "top"}},
		"a commit":                  {r.Git("rev-parse", "v1"), "policies/a.yaml", directory, map[string]string{"policies/a.yaml": "old"}},
		"a tree":                    {r.Git("write-tree"), "policies/a.yaml", directory, map[string]string{"policies/a.yaml": "new"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			if diff := cmp.Diff(test.want, textsOf(t, test.revision, test.path, test.selection)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPathsAreGivenAsForTheDisk(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{"policies/a.yaml": "a", "other/b.yaml": "b"})
	t.Chdir(filepath.Join(r.Dir, "policies"))
	for path, want := range map[string]map[string]string{
		".":                           {"a.yaml": "a"},
		"a.yaml":                      {"a.yaml": "a"},
		"../other":                    {"../other/b.yaml": "b"},
		filepath.Join(r.Dir, "other"): {filepath.ToSlash(filepath.Join(r.Dir, "other")) + "/b.yaml": "b"},
		"../gone/../policies":         {"../policies/a.yaml": "a"},
	} {
		if diff := cmp.Diff(want, textsOf(t, "HEAD", path, directory)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// Git sets these variables for its hooks, with paths relative to the top of the work tree.
func TestTheVariablesOfAHookDoNotMatter(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{"policies/a.yaml": "a"})
	t.Setenv("GIT_DIR", ".git")
	t.Setenv("GIT_INDEX_FILE", ".git/index")
	t.Setenv("GIT_PREFIX", "")
	if diff := cmp.Diff(map[string]string{"policies/a.yaml": "a"}, textsOf(t, "HEAD", "policies", directory)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestABareRepositoryHasRevisions(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{"policies/a.yaml": "a"})
	bare := filepath.Join(t.TempDir(), "bare.git")
	r.Git("clone", "-q", "--bare", r.Dir, bare)
	t.Chdir(bare)
	if diff := cmp.Diff(map[string]string{"policies/a.yaml": "a"}, textsOf(t, "main", "policies", directory)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestLinksToFilesAreFollowed(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{"shared/a.yaml": "a", "policies/b.yaml": "b"})
	for name, target := range map[string]string{"a.yaml": "../shared/a.yaml", "dir.yaml": "../shared"} {
		if err := os.Symlink(target, filepath.Join("policies", name)); err != nil {
			t.Fatal(err)
		}
	}
	r.Commit(nil)
	want := map[string]string{"policies/a.yaml": "a", "policies/b.yaml": "b"}
	if diff := cmp.Diff(want, textsOf(t, "HEAD", "policies", directory)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := os.Symlink("/etc/hostname", "policies/outside.yaml"); err != nil {
		t.Fatal(err)
	}
	r.Commit(nil)
	_, err := gitrevision.New("HEAD").Files(t.Context(), "policies", directory)
	if err == nil || err.Error() != "HEAD:policies/outside.yaml: a symbolic link to nothing in this revision: commit the file itself" {
		t.Errorf("%v", err)
	}
}

// A branch that moves between two reads must not mix two commits.
func TestARevisionIsResolvedOnce(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{"policies/a.yaml": "old"})
	revision := gitrevision.New("main")
	if _, err := revision.Files(t.Context(), "policies", directory); err != nil {
		t.Fatal(err)
	}
	r.Commit(map[string]string{"policies/a.yaml": "new"})
	files, err := revision.Files(t.Context(), "policies", directory)
	if err != nil || string(files[0].Text) != "old" {
		t.Errorf("%s, %v", files, err)
	}
}

func TestErrorsNameTheFix(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{"policies/a.yaml": "12345"})
	outside := t.TempDir()
	small := directory
	small.MaxBytes = 4
	for sentence, test := range map[string]struct {
		revision, path string
		selection      gitrevision.Selection
		want           string
	}{
		"an unknown revision": {"moon", "policies", directory,
			`"moon" is not a revision of the Git repository of policies: write a branch, tag or commit; in a pipeline, fetch it before`},
		"an option of git":      {"--all", "policies", directory, `"--all" is not a revision of the Git repository of policies`},
		"no name":               {"", "policies", directory, `"" is not a revision`},
		"a range":               {"main..main", "policies", directory, `"main..main" is not a revision`},
		"a path in the name":    {"main:policies", "a.yaml", directory, `"main:policies" is not a revision: write a branch, tag or commit, and the path`},
		"a path not in it":      {"main", "policies/b.yaml", directory, "policies/b.yaml is not in the revision main: write a path that the revision has"},
		"a directory not in it": {"main", "nowhere/below", directory, "nowhere/below is not in the revision main"},
		"no repository":         {"main", outside, directory, outside + " is not in a Git repository, so there is no revision main of it"},
		"a large file":          {"main", "policies", small, "main:policies/a.yaml: over 4 bytes; split it into several files"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := gitrevision.New(test.revision).Files(t.Context(), test.path, test.selection)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if strings.Contains(sentence, "not in it") != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v is fs.ErrNotExist: %t", err, errors.Is(err, fs.ErrNotExist))
			}
		})
	}
	t.Run("no git", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := gitrevision.New("main").Files(t.Context(), "policies", directory)
		if err == nil || err.Error() != "the program git is not on the PATH: install it, or give files that are checked out" {
			t.Errorf("%v", err)
		}
	})
}
