package testrun

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/input"
	"registrationpolicy.dev/operator/internal/dirwatch"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policytest"
)

// runAndWatch runs the tests, and again after each change of a file, until ctx ends. It prints the error of each run. Its own
// error has the exit code of the last run that came to its end.
func (o *policyTestOptions) runAndWatch(ctx context.Context, s console.Streams, run func() error) error {
	code := console.ExitAllowed
	for {
		before := o.watched()
		err := run()
		if ctx.Err() != nil {
			break
		}
		console.PrintError(s.Err, err)
		code = console.ExitCode(err)
		fmt.Fprintln(s.Err, "regpol: waiting for a change; Ctrl-C ends")
		changed := o.awaitChange(ctx, before)
		if len(changed) == 0 {
			break
		}
		heading := fmt.Sprintf("=== %s  %s", time.Now().Format(time.TimeOnly), describeChanged(changed))
		fmt.Fprintf(s.Out, "\n%s\n\n", console.InkHeading.Paint(heading, s.Coloured()))
	}
	if code != console.ExitAllowed {
		return &console.ExitError{Code: code}
	}
	return nil
}

// describeChanged names the first of the files that have changed.
func describeChanged(files []string) string {
	if len(files) == 1 {
		return files[0] + " has changed"
	}
	return fmt.Sprintf("%s and %d more have changed", files[0], len(files)-1)
}

// watchedFiles are the files that tests depend on.
type watchedFiles struct {
	digests     map[string][sha256.Size]byte // of the files that can be read, by path
	directories []string                     // those of the files, sorted
}

// watched returns the files with tests, and the files that these name: the policies, and the calls in the field
// request.
func (o *policyTestOptions) watched() watchedFiles {
	w := watchedFiles{digests: map[string][sha256.Size]byte{}}
	for _, path := range o.paths {
		for _, directory := range o.directoriesOf(path) {
			for _, name := range w.addDirectory(directory) {
				if strings.HasSuffix(name, policyfile.TestExtension) {
					w.addNamed(name)
				}
			}
		}
	}
	slices.Sort(w.directories)
	w.directories = slices.Compact(w.directories)
	return w
}

// directoriesOf returns the directories in which a path of the command line has its tests.
func (o *policyTestOptions) directoriesOf(path string) []string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return []string{filepath.Dir(path)}
	}
	path = filepath.Clean(path)
	if o.recursive {
		if below, err := policyfile.Directories(path); err == nil {
			return below
		}
	}
	return []string{path}
}

// addDirectory adds the files with policies and tests of a directory, and returns their paths.
func (w *watchedFiles) addDirectory(directory string) []string {
	w.directories = append(w.directories, directory)
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil // the test run reports the error
	}
	var paths []string
	for _, entry := range entries {
		if name := entry.Name(); policyfile.IsPolicyFile(name) || strings.HasSuffix(name, policyfile.TestExtension) {
			path := filepath.Join(directory, name)
			paths = append(paths, path)
			w.addFile(path)
		}
	}
	return paths
}

// addFile adds a file, and returns its text.
func (w *watchedFiles) addFile(path string) []byte {
	text, err := input.ReadUpTo(path, policyfile.MaxFile+1)
	if err != nil {
		return nil // the test run reports the error
	}
	w.digests[path] = sha256.Sum256(text)
	return text
}

// addNamed adds the policies and calls that a file with tests names. For a file with a mistake it adds none: no test
// runs until that file changes.
func (w *watchedFiles) addNamed(path string) {
	file, err := policytest.Read(path, w.addFile(path))
	if err != nil {
		return
	}
	directory := filepath.Dir(path)
	for _, named := range file.Policies {
		named = beside(directory, named)
		if info, err := os.Stat(named); err == nil && info.IsDir() {
			w.addDirectory(named)
			continue
		}
		w.directories = append(w.directories, filepath.Dir(named))
		w.addFile(named)
	}
	for i := range file.Cases {
		if file.Cases[i].Request != "" {
			named := beside(directory, file.Cases[i].Request)
			w.directories = append(w.directories, filepath.Dir(named))
			w.addFile(named)
		}
	}
}

// changedFrom returns the paths of the files that differ, sorted.
func (w *watchedFiles) changedFrom(before *watchedFiles) []string {
	var changed []string
	for path, digest := range w.digests {
		if was, found := before.digests[path]; !found || was != digest {
			changed = append(changed, path)
		}
	}
	for path := range before.digests {
		if _, found := w.digests[path]; !found {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return changed
}

// awaitChange waits until watched files differ from those in before, and returns their paths. It returns none if ctx
// ends.
func (o *policyTestOptions) awaitChange(ctx context.Context, before watchedFiles) []string {
	for ctx.Err() == nil {
		now := o.watched()
		if changed := now.changedFrom(&before); len(changed) > 0 {
			return changed
		}
		o.awaitEvent(ctx, now, before)
	}
	return nil
}

// awaitEvent waits until watched files differ from those in before, or other directories must be watched than those in
// now.
func (o *policyTestOptions) awaitEvent(ctx context.Context, now, before watchedFiles) {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan struct{}, 1)
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer cancel()
	for _, directory := range now.directories {
		watcher, _ := dirwatch.New(directory) // after an error, the watcher polls
		watchers.Go(func() {
			watcher.Run(ctx, func() {
				select {
				case events <- struct{}{}:
				default:
				}
			})
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			if found := o.watched(); len(found.changedFrom(&before)) > 0 || !slices.Equal(found.directories, now.directories) {
				return
			}
		}
	}
}
