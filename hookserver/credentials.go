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

// documentedExample is the value in Okta's documentation: whoever has read that knows it.
const documentedExample = "Basic YWRtaW46c3VwZXJzZWNyZXQ="

// Credentials are the accepted values of one header: each a file of a directory, such as a mounted Secret. The file's
// name is the credential's. They are made by [LoadCredentials] and kept up to date by [Credentials.Run].
type Credentials struct {
	dir    string
	logger logr.Logger

	reading   sync.Mutex // held while the directory is read
	lastFault string     // what was last logged

	accepted atomic.Pointer[[]*credential] // sorted by name
	faults   atomic.Int64                  // files, or directories, that could not be used when last read
}

var errNoCredential = errors.New("no file can be used; put each accepted value of the header into one, without which a start fails")

type credential struct {
	name   string
	digest [sha256.Size]byte
	used   *atomic.Uint64 // how many calls had it; survives a change of the value
}

// LoadCredentials reads the directory: of each file whose name does not begin with a dot, symbolic links followed,
// the content without one final newline. It must be 16 to 1024 visible ASCII characters, single spaces between them
// allowed. A file that is not so is refused: it is logged by its name, counted, and accepted as nothing, like one that changes
// while the server runs. It fails only if no file can be used; the error then names every file, and never shows what is in it.
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
	c.keep(read)
	return c, nil
}

// oneLine joins errors as the end of a program says them.
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
	if c == nil { // OAuth alone
		return nil
	}
	if accepted := c.accepted.Load(); accepted != nil {
		return *accepted
	}
	return nil
}

// match returns the name of the credential with this value. It takes the same time whichever of them it is, and
// whether it is any: what is compared are digests of one length, and all of them.
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

// reload reads the directory again. What is gone is revoked, and so is what was replaced by something that may not be
// accepted: its owner took the old value back. What cannot be read at all stays as it was.
func (c *Credentials) reload() {
	c.reading.Lock()
	defer c.reading.Unlock()
	read, err := c.read()
	if err != nil {
		c.faults.Store(1)
		c.logFaults([]error{err})
		return
	}
	c.keep(read)
}

// keep takes over what was read, faults included.
func (c *Credentials) keep(read readCredentials) {
	c.faults.Store(int64(len(read.faults)))
	c.logFaults(read.faults)
	c.put(read)
}

// put makes what was read the accepted values.
func (c *Credentials) put(read readCredentials) {
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

// logFaults logs faults, a line each, unless they are those of the last reading.
func (c *Credentials) logFaults(faults []error) {
	text := ""
	if err := errors.Join(faults...); err != nil {
		text = err.Error()
	}
	if text != c.lastFault {
		for _, fault := range faults {
			c.logger.Error(fault, "Credentials not accepted", "directory", c.dir)
		}
	}
	c.lastFault = text
}

// readCredentials is what one reading of the directory found.
type readCredentials struct {
	accepted []*credential
	examples []string // names of those that are documentedExample
	faults   []error
}

// read reads the directory. An error says that it could not be listed.
func (c *Credentials) read() (readCredentials, error) {
	entries, err := os.ReadDir(c.dir) // sorted by name
	if err != nil {
		return readCredentials{}, err
	}
	before := map[string]*credential{}
	for _, credential := range c.list() {
		before[credential.name] = credential
	}
	started := c.accepted.Load() != nil

	var read readCredentials
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		value, err := readCredential(c.dir, name)
		old := before[name]
		switch {
		case err == nil && len(read.accepted) == maxCredentials:
			read.faults = append(read.faults, fmt.Errorf("file %q: is one too many; %d are possible", name, maxCredentials))
		case err == nil:
			next := &credential{name: name, digest: sha256.Sum256([]byte(value)), used: new(atomic.Uint64)}
			if old != nil {
				next.used = old.used
			}
			read.accepted = append(read.accepted, next)
			if value == documentedExample {
				read.examples = append(read.examples, name)
			}
		case errors.Is(err, fs.ErrNotExist) && started:
			// Removed since the directory was listed, or a link of kubelet's whose target is: revoked.
		default:
			read.faults = append(read.faults, err)
			_, refused := errors.AsType[refusedCredential](err)
			if !refused && old != nil && len(read.accepted) < maxCredentials {
				read.accepted = append(read.accepted, old) // a read error keeps what there was
			}
		}
	}
	return read, nil
}

// refusedCredential says that a file was read and is not fit for a credential.
type refusedCredential string

func (r refusedCredential) Error() string { return string(r) }

func readCredential(dir, name string) (string, error) {
	if len(name) > maxCredentialName || strings.Trim(name, asciiLetters+asciiDigits+"-._") != "" {
		return "", refusedCredential(fmt.Sprintf("file %q: name it with letters, digits, -, _ and . only", name))
	}
	path := filepath.Join(dir, name)
	if stat, err := os.Stat(path); err != nil {
		return "", err
	} else if !stat.Mode().IsRegular() {
		return "", refusedCredential(fmt.Sprintf("file %q: is not a regular file", name))
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
		return "", refusedCredential(fmt.Sprintf("file %q: must hold %d to %d visible ASCII characters, "+
			"with at most single spaces between them, and one newline at most", name, minCredential, maxCredential))
	}
	return value, nil
}

// validCredential tells values that arrive in a header as they were written: spaces at the ends and runs of them do
// not.
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
