package hookserver

import (
	"crypto/sha256"
	"crypto/subtle"
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

	"registrationpolicy.dev/operator/internal/loglevel"
)

// documentedExample is the header value of the example in Okta's documentation, so anyone can know it.
const documentedExample = "Basic YWRtaW46c3VwZXJzZWNyZXQ="

// Credentials are the accepted values of a header. Each is a file of a directory, such as a mounted Secret, and has the
// file's name. [LoadCredentials] makes them, and [Credentials.Run] follows changes of the directory.
type Credentials struct {
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

// LoadCredentials reads the files of a directory, except those whose names begin with a dot. It follows symbolic links.
// A value is the content without one final newline: 16 to 1024 visible ASCII characters, with single spaces allowed
// between them. Any other file is skipped, logged by its name and counted. It fails only if no file can be used; the
// error names every file, but not its content.
func LoadCredentials(dir string, logger logr.Logger) (*Credentials, error) {
	if logger.GetSink() == nil {
		logger = logr.Discard()
	}
	c := &Credentials{dir: dir, logger: logger}
	read, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	if len(read.accepted) == 0 {
		if len(read.faults) > 0 {
			return nil, fmt.Errorf("credentials: %s", oneLine(read.faults))
		}
		return nil, fmt.Errorf("credentials: %s: %w", dir, errNoCredential)
	}
	c.apply(read)
	return c, nil
}

func oneLine(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Names returns the names of the accepted credentials, sorted.
func (c *Credentials) Names() []string {
	accepted := c.list()
	names := make([]string, len(accepted))
	for i, credential := range accepted {
		names[i] = credential.name
	}
	return names
}

func (c *Credentials) list() []*credential {
	if c == nil { // only OAuth is configured
		return nil
	}
	if accepted := c.accepted.Load(); accepted != nil {
		return *accepted
	}
	return nil
}

// match returns the name of the credential with this value. It always compares the digests of all credentials in
// constant time, so that its duration does not depend on which one matches, if any.
func (c *Credentials) match(value string) (name string, ok bool) {
	digest := sha256.Sum256([]byte(value))
	var found *credential
	for _, credential := range c.list() {
		if subtle.ConstantTimeCompare(digest[:], credential.digest[:]) == 1 && found == nil {
			found = credential
		}
	}
	if found == nil {
		return "", false
	}
	found.used.Add(1)
	return found.name, true
}

// reload reads the directory again. It revokes the values of files that were removed or replaced by an invalid value:
// their owner withdrew the old one. On a read error the earlier values stay accepted.
func (c *Credentials) reload() {
	c.reading.Lock()
	defer c.reading.Unlock()
	read, err := c.read()
	if err != nil {
		c.faults.Store(1)
		c.logFaults([]error{err})
		return
	}
	c.apply(read)
}

// apply accepts the credentials that were read, and counts and logs the unusable files.
func (c *Credentials) apply(read credentialFiles) {
	c.faults.Store(int64(len(read.faults)))
	c.logFaults(read.faults)
	c.accept(read)
}

func (c *Credentials) accept(read credentialFiles) {
	before := c.list()
	same := func(a, b *credential) bool { return a.name == b.name && a.digest == b.digest }
	if c.accepted.Load() != nil && slices.EqualFunc(before, read.accepted, same) {
		return
	}
	c.accepted.Store(&read.accepted)
	if len(read.accepted) == 0 {
		c.logger.Error(errNoCredential, "No credential is left: calls that bring one are refused", "directory", c.dir)
		return
	}
	c.logger.Info("Credentials accepted", "credentials", c.Names())
	for _, name := range read.examples {
		loglevel.Warn(c.logger, "Credential is the example in Okta's documentation: replace it", "credential", name)
	}
}

// logFaults logs a line for each unusable file, unless the faults are the same as those last logged.
func (c *Credentials) logFaults(faults []error) {
	text := ""
	if err := errors.Join(faults...); err != nil {
		text = err.Error()
	}
	if text != c.lastLogged {
		for _, fault := range faults {
			c.logger.Error(fault, "Credentials not accepted", "directory", c.dir)
		}
	}
	c.lastLogged = text
}

// credentialFiles is the result of reading the directory.
type credentialFiles struct {
	accepted []*credential
	examples []string // names of the accepted credentials equal to documentedExample
	faults   []error
}

// read reads the directory. It fails only if the directory cannot be listed.
func (c *Credentials) read() (credentialFiles, error) {
	entries, err := os.ReadDir(c.dir) // sorted by name
	if err != nil {
		return credentialFiles{}, err
	}
	before := map[string]*credential{}
	for _, credential := range c.list() {
		before[credential.name] = credential
	}
	loaded := c.accepted.Load() != nil

	var read credentialFiles
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		value, err := readCredential(c.dir, name)
		old := before[name]
		switch {
		case err == nil && len(read.accepted) == maxCredentials:
			read.faults = append(read.faults, fmt.Errorf("file %q: exceeds the limit of %d credentials: remove another file", name, maxCredentials))
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
			_, refused := errors.AsType[unusableCredential](err)
			if !refused && old != nil && len(read.accepted) < maxCredentials {
				read.accepted = append(read.accepted, old) // a read error does not revoke a value
			}
		}
	}
	return read, nil
}

// unusableCredential is the error of a file that could be read but is not a valid credential.
type unusableCredential string

func (r unusableCredential) Error() string { return string(r) }

func readCredential(dir, name string) (string, error) {
	if len(name) > maxCredentialName || strings.Trim(name, asciiLetters+asciiDigits+"-._") != "" {
		return "", unusableCredential(fmt.Sprintf("file %q: name it with letters, digits, -, _ and . only", name))
	}
	path := filepath.Join(dir, name)
	if stat, err := os.Stat(path); err != nil {
		return "", err
	} else if !stat.Mode().IsRegular() {
		return "", unusableCredential(fmt.Sprintf("file %q: is not a regular file: put the value into one", name))
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	const newline = "\r\n"
	content, err := io.ReadAll(io.LimitReader(file, maxCredential+int64(len(newline))+1))
	if err != nil {
		return "", err
	}
	value := string(content)
	if line, cut := strings.CutSuffix(value, "\n"); cut {
		value = strings.TrimSuffix(line, "\r")
	}
	if !validCredential(value) {
		return "", unusableCredential(fmt.Sprintf("file %q: must hold %d to %d visible ASCII characters, "+
			"with at most single spaces between them, and one newline at most", name, minCredential, maxCredential))
	}
	return value, nil
}

// validCredential reports whether a value arrives in a header unchanged. Leading, trailing and repeated spaces may not.
func validCredential(value string) bool {
	if len(value) < minCredential || len(value) > maxCredential || strings.Contains(value, "  ") ||
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
