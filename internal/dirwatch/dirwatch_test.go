package dirwatch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// within is a deadline for events that take moments.
const within = 30 * time.Second

// watched is a directory under watch, and what changed was told.
type watched struct {
	dir     string
	changed chan struct{}
	ended   chan struct{}
	cancel  context.CancelFunc
}

func watch(t *testing.T, dir string, interval time.Duration) *watched {
	t.Helper()
	watcher, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if interval > 0 {
		watcher.interval = interval
	}
	return run(t, watcher)
}

func run(t *testing.T, watcher *Watcher) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{dir: watcher.dir, changed: make(chan struct{}, 1), ended: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(w.ended)
		watcher.Run(ctx, func() {
			select {
			case w.changed <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-w.ended
	})
	return w
}

// wantChange waits until changed was called and the content then was as it should be.
func (w *watched) wantChange(t *testing.T, name, want string) {
	t.Helper()
	end := time.After(within)
	for {
		select {
		case <-w.changed:
			got, err := os.ReadFile(filepath.Join(w.dir, name))
			if string(got) == want || want == "" && errors.Is(err, fs.ErrNotExist) {
				return
			}
		case <-end:
			t.Fatalf("changed was not called after %s became %q", name, want)
		}
	}
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// withoutPolls is an interval longer than any test.
const withoutPolls = time.Hour

func TestEveryWayToChangeAFileIsNoticed(t *testing.T) {
	dir := t.TempDir()
	write(t, "one", dir, "a")
	w := watch(t, dir, withoutPolls)

	write(t, "two", dir, "a")
	w.wantChange(t, "a", "two") // edited in place

	write(t, "three", dir, ".a.swp")
	must(t, os.Rename(filepath.Join(dir, ".a.swp"), filepath.Join(dir, "a")))
	w.wantChange(t, "a", "three") // renamed over, as editors and cp do

	write(t, "new", dir, "b")
	w.wantChange(t, "b", "new")

	must(t, os.Remove(filepath.Join(dir, "b")))
	w.wantChange(t, "b", "")
}

// A kubelet writes a volume into a new hidden directory, and renames a symlink to it over ..data.
func TestASwapByAKubeletIsNoticed(t *testing.T) {
	dir := t.TempDir()
	swap := func(version, text string) {
		hidden := filepath.Join(dir, "..version-"+version)
		must(t, os.Mkdir(hidden, 0o700))
		write(t, text, hidden, "policy.yaml")
		must(t, os.Symlink(filepath.Base(hidden), filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	swap("1", "one")
	must(t, os.Symlink(filepath.Join("..data", "policy.yaml"), filepath.Join(dir, "policy.yaml")))
	w := watch(t, dir, withoutPolls)
	swap("2", "two")
	w.wantChange(t, "policy.yaml", "two")
	must(t, os.RemoveAll(filepath.Join(dir, "..version-1")))
	swap("3", "three")
	w.wantChange(t, "policy.yaml", "three")
}

func TestABusyDirectoryIsReadNevertheless(t *testing.T) {
	dir := t.TempDir()
	w := watch(t, dir, withoutPolls)
	<-w.changed // at the beginning
	end := time.After(within)
	for i := 0; ; i++ {
		write(t, fmt.Sprint(i), dir, "a")
		select {
		case <-w.changed:
			return
		case <-end:
			t.Fatal("changed was not called while the directory was never at rest")
		case <-time.After(settleTime / 10):
		}
	}
}

func TestWithoutNoticesTheDirectoryIsLookedAt(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "policies")
	must(t, os.Mkdir(dir, 0o700))
	w := watch(t, dir, settleTime)
	must(t, os.Remove(dir))
	must(t, os.Mkdir(dir, 0o700)) // another directory, of which no notice comes
	write(t, "one", dir, "a")
	w.wantChange(t, "a", "one")
}

func TestADirectoryMadeAgainIsWatchedAgain(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "policies")
	must(t, os.Mkdir(dir, 0o700))
	watcher, err := New(dir)
	must(t, err)
	must(t, os.Remove(dir))
	must(t, os.Mkdir(dir, 0o700))
	watcher.watchAgain() // what Run does now and then
	write(t, "one", dir, "a")
	end := time.After(within)
	for {
		select {
		case notice := <-watcher.notifier.Events:
			if filepath.Base(notice.Name) == "a" {
				must(t, watcher.notifier.Close())
				return
			}
		case <-end:
			t.Fatal("no notice of a file in the new directory")
		}
	}
}

func TestTheWatchEndsWithItsContext(t *testing.T) {
	w := watch(t, t.TempDir(), 0)
	w.cancel()
	select {
	case <-w.ended:
	case <-time.After(within):
		t.Fatal("Run did not return")
	}
}

func TestADirectoryThatIsNotThereIsAnErrorAndIsFoundOnceItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	watcher, err := New(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error that says it does not exist", err)
	}
	watcher.interval = settleTime
	must(t, os.Mkdir(dir, 0o700))
	w := run(t, watcher)
	write(t, "one", dir, "a")
	w.wantChange(t, "a", "one")
}
