package storedsnapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/rules"
)

func testSnapshot() *snapshotfile.Snapshot {
	return &snapshotfile.Snapshot{Policies: []rules.Policy{{PolicyName: rules.PolicyName{Namespace: "a", Name: "acme"}}}}
}

func causeOf(err error) snapshotfile.Cause {
	if refusal, ok := errors.AsType[*snapshotfile.RefusedError](err); ok {
		return refusal.Cause
	}
	return ""
}

func always() bool { return true }

func openTestDirectory(t *testing.T) *Directory {
	t.Helper()
	d, err := OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOnlyARegularFileOfOursIsRead(t *testing.T) {
	for sentence, c := range map[string]struct {
		make func(path string) error
		want snapshotfile.Cause
	}{
		"a good file":              {func(string) error { return nil }, ""},
		"one that others may read": {func(path string) error { return os.Chmod(path, 0o644) }, ""}, // it holds what they may not see, and is good
		"one that the group may write, as a volume may make it": {
			func(path string) error { return os.Chmod(path, 0o660) }, snapshotfile.CauseNotOurs,
		},
		"a link": {func(path string) error {
			return errors.Join(os.Rename(path, path+".good"), os.Symlink(path+".good", path))
		}, snapshotfile.CauseNotOurs},
		"a directory": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, snapshotfile.CauseNotOurs},
		"a pipe":      {func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) }, snapshotfile.CauseNotOurs},
		"a huge file": {func(path string) error { return os.Truncate(path, snapshotfile.MaxSize+1) }, snapshotfile.CauseTooBig},
	} {
		d := openTestDirectory(t)
		if err := errors.Join(d.Write(testSnapshot(), d.Supersede()), c.make(d.Path())); err != nil {
			t.Fatal(err)
		}
		s, err := d.Read(always)
		if got := causeOf(err); got != c.want || (s == nil) != (c.want != "") {
			t.Errorf("%s: %v, want %q", sentence, err, c.want)
		}
	}
	if os.Geteuid() == 0 { // only root can make somebody else the owner
		d := openTestDirectory(t)
		if err := errors.Join(d.Write(testSnapshot(), d.Supersede()), os.Chown(d.Path(), 1, -1)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read(always); causeOf(err) != snapshotfile.CauseNotOurs {
			t.Errorf("somebody else's: %v", err)
		}
	}
	if s, err := openTestDirectory(t).Read(always); s != nil || err != nil {
		t.Errorf("no file: %v, %v; want neither", s, err)
	}
}

func TestADirectoryMustBeThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{file: syscall.ENOTDIR, file + "s": fs.ErrNotExist} {
		if _, err := OpenDirectory(path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestAWriteOfAnEarlierEpochNeverGetsIn(t *testing.T) {
	d := openTestDirectory(t)
	earlier := d.Supersede()
	later := d.Supersede()
	if err := d.Write(testSnapshot(), earlier); !errors.Is(err, ErrSuperseded) {
		t.Errorf("an earlier epoch: %v", err)
	}
	if s, err := d.Read(always); s != nil || err != nil {
		t.Errorf("read %v, %v; want nothing", s, err)
	}
	if err := d.Write(testSnapshot(), later); err != nil {
		t.Fatal(err)
	}
	// A removal that the disk held up comes after the file that it was to make room for.
	if err := d.Remove(later); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Read(always); s == nil || err != nil {
		t.Errorf("a late removal took the newer file: %v", err)
	}
	if err := d.Remove(d.Supersede()); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(d.Path())); len(entries) > 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestWhatAKilledProcessLeftIsNeverReadAndIsReplaced(t *testing.T) {
	d := openTestDirectory(t)
	if err := errors.Join(d.writeTemporary(testSnapshot()), os.Chmod(d.temporary(), 0o400)); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Read(always); s != nil || err != nil {
		t.Errorf("read %v, %v; want nothing", s, err)
	}
	if err := d.Write(testSnapshot(), d.Supersede()); err != nil {
		t.Fatal(err)
	}
	found, err := os.Stat(d.Path())
	if err != nil || found.Mode() != mode {
		t.Errorf("mode %v, %v", found.Mode(), err)
	}
}

func TestAFileThatCannotBeRemovedIsSpoilt(t *testing.T) {
	d := openTestDirectory(t)
	if err := d.Write(testSnapshot(), d.Supersede()); err != nil {
		t.Fatal(err)
	}
	if err := d.overwrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(always); causeOf(err) != snapshotfile.CauseTruncated {
		t.Errorf("read: %v", err)
	}
	// It is an error if the file cannot be overwritten either.
	if err := errors.Join(os.Remove(d.Path()), os.MkdirAll(filepath.Join(d.Path(), "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(d.Supersede()); err == nil {
		t.Error("nothing said of a file that stays")
	}
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	d := openTestDirectory(t)
	s := testSnapshot()
	s.Synced = map[string]string{"own": strings.Repeat("9", 2<<20)}
	if err := d.Write(s, d.Supersede()); !errors.Is(err, snapshotfile.ErrTooBig) {
		t.Errorf("over the bound: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(d.Path())); len(entries) > 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestAFileIsReadOnlyAsLongAsItIsWanted(t *testing.T) {
	d := openTestDirectory(t)
	if err := d.Write(testSnapshot(), d.Supersede()); err != nil {
		t.Fatal(err)
	}
	for most := range 3 {
		reads := 0
		s, err := d.Read(func() bool { reads++; return reads <= most })
		if s != nil || !errors.Is(err, errNoLongerNeeded) {
			t.Errorf("not wanted after %d reads: %v, %v", most, s, err)
		}
	}
}
