package credentials

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/internal/dirwatch"
	"registrationpolicy.dev/operator/internal/loglevel"
)

// documentedExample is the header value of the example in Okta's documentation, so anyone can know it.
const documentedExample = "Basic YWRtaW46c3VwZXJzZWNyZXQ="

// Limits of credentials.
const (
	// minLength and maxLength limit the length of an accepted header value in bytes: shorter ones can be guessed, and
	// Okta cannot store longer ones.
	minLength = 16
	maxLength = 1024
	// maxFiles is the maximum number of accepted values. Each has a time series in the metrics, so it limits these too.
	// A rotation needs two values.
	maxFiles = 32
	// maxName is the maximum length in bytes of a credential's name, which is a key of a Kubernetes Secret.
	maxName = 253
)

// nameCharacters may occur in the name of a credential. They are those of the keys of a Kubernetes Secret.
const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"

// Files are the accepted values of a header. Each is a file of a directory, such as a mounted Secret, and has that
// file's name. [Load] makes them, and [Files.Run] follows changes of the directory.
type Files struct {
	dir    string
	logger logr.Logger

	reading    sync.Mutex // held while the directory is read
	lastLogged string     // the faults last logged

	accepted atomic.Pointer[[]*credential] // sorted by name
	faults   atomic.Int64                  // unusable files at the last reload; 1 if the directory could not be read
}

var errNoCredential = errors.New("no file can be used; put each accepted header value into a file: without one, the next start fails")

type credential struct {
	name   string
	digest [sha256.Size]byte
	used   *atomic.Uint64 // calls with this credential; the count continues when the file's value changes
}

// Load reads the files of a directory, except those whose names begin with a dot. It follows symbolic links.
// A value is the content without one final newline: 16 to 1024 visible ASCII characters, with single spaces allowed
// between them. Any other file is skipped, logged by its name and counted. It fails only if no file can be used; the
// error names every file, but not its content.
func Load(dir string, logger logr.Logger) (*Files, error) {
	if logger.GetSink() == nil {
		logger = logr.Discard()
	}
	f := &Files{dir: dir, logger: logger}
	read, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	if len(read.accepted) == 0 {
		if len(read.faults) > 0 {
			return nil, fmt.Errorf("credentials: %s", oneLine(read.faults))
		}
		return nil, fmt.Errorf("credentials: %s: %w", dir, errNoCredential)
	}
	f.apply(read)
	return f, nil
}

func oneLine(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Names returns the names of the accepted credentials, sorted.
func (f *Files) Names() []string {
	accepted := f.list()
	names := make([]string, len(accepted))
	for i, credential := range accepted {
		names[i] = credential.name
	}
	return names
}

func (f *Files) list() []*credential {
	if f == nil { // only OAuth is configured
		return nil
	}
	if accepted := f.accepted.Load(); accepted != nil {
		return *accepted
	}
	return nil
}

// State is the state of the files, for metrics.
type State struct {
	// Names are the names of the accepted credentials, sorted, and Uses the number of calls with each.
	Names []string
	Uses  []uint64
	// Faults is the number of unusable files at the last reading; 1 if the directory could not be read.
	Faults int64
}

// State returns the state of the files.
func (f *Files) State() State {
	state := State{Faults: f.faults.Load()}
	for _, credential := range f.list() {
		state.Names = append(state.Names, credential.name)
		state.Uses = append(state.Uses, credential.used.Load())
	}
	return state
}

// Run reads the directory again whenever it changes, until ctx ends. It returns nil. It notices an update of a mounted
// Secret, where the kubelet replaces a symbolic link in the directory. Some changes cause no notification, such as
// those on NFS and those of the target of a link: polling finds them within 10 s.
func (f *Files) Run(ctx context.Context) error {
	watcher, err := dirwatch.New(f.dir)
	if err != nil {
		loglevel.Warn(f.logger, "Credentials are not watched, only polled", "directory", f.dir, "error", err)
	}
	watcher.Run(ctx, f.reload)
	return nil
}

// reload reads the directory again. It revokes the values of files that were removed or replaced by an invalid value:
// their owner withdrew the old one. On a read error the earlier values stay accepted.
func (f *Files) reload() {
	f.reading.Lock()
	defer f.reading.Unlock()
	read, err := f.read()
	if err != nil {
		f.faults.Store(1)
		f.logFaults([]error{err})
		return
	}
	f.apply(read)
}

// apply accepts the credentials that were read, and counts and logs the unusable files.
func (f *Files) apply(read credentialFiles) {
	f.faults.Store(int64(len(read.faults)))
	f.logFaults(read.faults)
	f.accept(read)
}

func (f *Files) accept(read credentialFiles) {
	before := f.list()
	same := func(a, b *credential) bool { return a.name == b.name && a.digest == b.digest }
	if slices.EqualFunc(before, read.accepted, same) {
		return
	}
	f.accepted.Store(&read.accepted)
	if len(read.accepted) == 0 {
		f.logger.Error(errNoCredential, "No credential is left: calls that bring one are refused", "directory", f.dir)
		return
	}
	f.logger.Info("Credentials accepted", "credentials", f.Names())
	for _, name := range read.examples {
		loglevel.Warn(f.logger, "Credential is the example in Okta's documentation: replace it", "credential", name)
	}
}

// logFaults logs a line for each unusable file, unless the faults are the same as those last logged.
func (f *Files) logFaults(faults []error) {
	text := ""
	if err := errors.Join(faults...); err != nil {
		text = err.Error()
	}
	if text != f.lastLogged {
		for _, fault := range faults {
			f.logger.Error(fault, "Credentials not accepted", "directory", f.dir)
		}
	}
	f.lastLogged = text
}

// credentialFiles is the result of reading the directory.
type credentialFiles struct {
	accepted []*credential
	examples []string // names of the accepted credentials equal to documentedExample
	faults   []error
}

// read reads the directory. It fails only if the directory cannot be listed.
func (f *Files) read() (credentialFiles, error) {
	entries, err := os.ReadDir(f.dir) // sorted by name
	if err != nil {
		return credentialFiles{}, err
	}
	before := map[string]*credential{}
	for _, credential := range f.list() {
		before[credential.name] = credential
	}
	loaded := f.accepted.Load() != nil

	var read credentialFiles
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		value, err := readFile(f.dir, name)
		old := before[name]
		switch {
		case err == nil && len(read.accepted) == maxFiles:
			read.faults = append(read.faults, fmt.Errorf("file %q: exceeds the limit of %d credentials: remove another file", name, maxFiles))
		case err == nil:
			next := &credential{name: name, digest: sha256.Sum256([]byte(value)), used: new(atomic.Uint64)}
			if old != nil {
				next.used = old.used
			}
			read.accepted = append(read.accepted, next)
			if value == documentedExample {
				read.examples = append(read.examples, name)
			}
		case errors.Is(err, fs.ErrNotExist) && loaded:
			// Revoked: the file, or the target of the kubelet's symbolic link, was removed after the directory was
			// listed.
		default:
			read.faults = append(read.faults, err)
			_, refused := errors.AsType[unusableFile](err)
			if !refused && old != nil && len(read.accepted) < maxFiles {
				read.accepted = append(read.accepted, old) // a read error does not revoke a value
			}
		}
	}
	return read, nil
}

// unusableFile is the error of a file that could be read but is not a valid credential.
type unusableFile string

func (u unusableFile) Error() string { return string(u) }

func readFile(dir, name string) (string, error) {
	if len(name) > maxName || strings.Trim(name, nameCharacters) != "" {
		return "", unusableFile(fmt.Sprintf("file %q: name it with letters, digits, -, _ and . only", name))
	}
	path := filepath.Join(dir, name)
	if stat, err := os.Stat(path); err != nil {
		return "", err
	} else if !stat.Mode().IsRegular() {
		return "", unusableFile(fmt.Sprintf("file %q: is not a regular file: put the value into one", name))
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	const newline = "\r\n"
	content, err := io.ReadAll(io.LimitReader(file, maxLength+int64(len(newline))+1))
	if err != nil {
		return "", err
	}
	value := string(content)
	if line, cut := strings.CutSuffix(value, "\n"); cut {
		value = strings.TrimSuffix(line, "\r")
	}
	if !validValue(value) {
		return "", unusableFile(fmt.Sprintf("file %q: must hold %d to %d visible ASCII characters, "+
			"with at most single spaces between them, and one newline at most", name, minLength, maxLength))
	}
	return value, nil
}

// validValue reports whether a value has a permitted length and arrives in a header unchanged. Leading, trailing and
// repeated spaces might be removed on the way.
func validValue(value string) bool {
	if len(value) < minLength || len(value) > maxLength || strings.Contains(value, "  ") ||
		value[0] == ' ' || value[len(value)-1] == ' ' {
		return false
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}
