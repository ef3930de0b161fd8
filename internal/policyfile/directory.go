package policyfile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/internal/dirwatch"
	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// Directory publishes the policies and lists in a directory, again after each change, for an operator without a
// cluster. It validates files as an API server validates objects, and compiles them as the operator compiles stored
// objects.
type Directory struct {
	path      string
	parser    *parser
	watcher   *dirwatch.Watcher
	publisher *publish.Publisher
	lists     *publish.Lists
	scopes    policyobject.Scopes
	metrics   *publish.Metrics
	logger    logr.Logger

	content        [sha256.Size]byte // digest of the files that were read last, whether valid or not
	contentErr     error             // the mistakes in these files; nil if they are valid
	loggedWarnings []lint.Warning    // the warnings about the files in force, which are not logged again
	loggedErr      loadError         // the failure that was logged last; zero after a load without an error

	mu  sync.Mutex
	err error // of the last Load
}

// OpenDirectory starts to watch the directory at path, but reads no file yet. [Directory.Load] reads the files and
// publishes their policies in store. scopes limits the calls that the policies of each namespace decide. OpenDirectory
// fails only if the schema of the policies cannot be built.
func OpenDirectory(
	path string, store *rules.Store, scopes policyobject.Scopes, metrics *publish.Metrics, logger logr.Logger,
) (*Directory, error) {
	schema, err := policyobject.NewSchema()
	if err != nil {
		return nil, err
	}
	watcher, err := dirwatch.New(path)
	if err != nil {
		loglevel.Warn(logger, "Policy files are not watched, only polled", "directory", path, "error", err)
	}
	return &Directory{
		path: path, parser: &parser{schema}, watcher: watcher,
		publisher: publish.New(publish.Options{Bound: scopes.Bound, Store: store, Metrics: metrics, Logger: logger}),
		lists:     publish.NewLists(metrics), scopes: scopes, metrics: metrics, logger: logger,
	}, nil
}

// Load reads all files and publishes their policies. If a file is invalid, Load publishes nothing: the earlier rules of
// all files stay in force. The error then joins one error for each mistake, each with file, line and fix.
func (d *Directory) Load(ctx context.Context) error {
	err := d.load(ctx)
	d.mu.Lock()
	d.err = err
	d.mu.Unlock()
	if err != nil {
		d.metrics.ReadFailed()
	} else {
		d.metrics.ReadSucceeded()
	}
	return err
}

func (d *Directory) load(ctx context.Context) error {
	files, content, err := readStable(d.path)
	if err != nil {
		return err
	}
	if content == d.content {
		return d.contentErr
	}
	documents, err := d.parseAll(ctx, files)
	d.content, d.contentErr = content, err
	if err != nil {
		return err
	}
	documents, lists := splitLists(documents)
	policies := make([]rules.Policy, len(documents))
	for i, document := range documents {
		policies[i] = document.policy
	}
	if policies, err = resolveFiles(ctx, d.lists, lists, policies); err != nil {
		return err
	}
	published := d.publisher.PublishAll(policies)
	for _, policy := range published {
		for _, rejection := range policy.Rejections {
			d.logRejection(documents, rejection)
		}
	}
	d.logWarnings(documents, published)
	for _, namespace := range d.scopes.Namespaces() {
		if !slices.ContainsFunc(policies, func(policy rules.Policy) bool { return policy.Namespace == namespace }) {
			// If --namespace-sources misspells a namespace, the policies of the intended one are not limited to its sources.
			loglevel.Warn(d.logger, "Bounded namespace has no policy: is it misspelt?", "namespace", namespace)
		}
	}
	return nil
}

// parseAll reads the documents of all files. The error joins the errors of all files.
func (d *Directory) parseAll(ctx context.Context, files []file) ([]*document, error) {
	var documents []*document
	var errs []error
	for _, file := range files {
		if file.ignored {
			loglevel.Warn(d.logger, "Not a policy file: its name ends in none of .yaml, .yml, .json", "file", file.name)
			continue
		}
		found, err := d.parser.parse(ctx, file)
		documents = append(documents, found...)
		errs = append(errs, err)
	}
	errs = append(errs, unique(documents))
	return documents, errors.Join(errs...)
}

// Start calls [Directory.Load] at once and after each change of the files, until ctx ends. It always returns nil. A
// failed load is logged, counted, and returned by [Directory.Err].
func (d *Directory) Start(ctx context.Context) error {
	d.watcher.Run(ctx, func() {
		before := d.Err()
		err := d.Load(ctx)
		if err == nil && before != nil {
			d.logger.Info("Policy files accepted again")
		}
		d.logLoadError(err)
	})
	return nil
}

// loadError identifies a failed load, so that the same failure is not logged at each poll.
type loadError struct {
	content [sha256.Size]byte // digest of the files
	text    string            // of the error
}

// maxLoggedErrors is how many errors of one load are logged at most. An author fixes fewer at a time.
const maxLoggedErrors = 100

// logLoadError logs each of the joined errors in a line of its own, unless the previous load failed in the same way.
func (d *Directory) logLoadError(err error) {
	if err == nil {
		d.loggedErr = loadError{}
		return
	}
	failed := loadError{d.content, err.Error()}
	if d.loggedErr == failed {
		return
	}
	d.loggedErr = failed
	errs := joinedErrors(err)
	for _, err := range errs[:min(len(errs), maxLoggedErrors)] {
		d.logger.Error(err, "Policy files refused; the earlier rules stay in force")
	}
	if more := len(errs) - maxLoggedErrors; more > 0 {
		d.logger.Error(nil, "Policy files refused for more faults than are logged", "further", more)
	}
}

// joinedErrors returns the errors that [errors.Join] joined to err, in order, or err alone.
func joinedErrors(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, joinedErrors(err)...)
	}
	return all
}

// Err returns the error of the last [Directory.Load]. It is nil if the policies of the current files are in force.
func (d *Directory) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// logRejection logs a part of a policy that is not in force, with its line in the file.
func (d *Directory) logRejection(documents []*document, rejection rules.Rejection) {
	for _, document := range documents {
		if document.policy.PolicyName == rejection.Policy {
			loglevel.Warn(d.logger, "Part of a policy is not in force", "policy", rejection.Policy.String(),
				"at", document.Place(rejection.Path), "path", rejection.Path, "why", rejection.Message)
		}
	}
}

// unique returns an error if two documents have the same kind, namespace and name. In a cluster, the second would
// replace the first.
func unique(documents []*document) error {
	first := map[string]*document{}
	var errs []error
	for _, document := range documents {
		if document.list == nil && document.policy.Name == "" {
			continue // the metadata is not valid, which is a mistake of its own
		}
		name := document.name()
		if other, found := first[name]; found {
			errs = append(errs, document.mistakeAt("metadata.name", DuplicateObject, "there is another %s at %s; give it another name",
				name, other.Place("metadata.name")))
			continue
		}
		first[name] = document
	}
	return errors.Join(errs...)
}

// readStable reads the files of a directory until two reads in a row give the same content. Otherwise a read during a
// change could mix old and new files. It also returns the digest of the files.
func readStable(dir string) (files []file, content [sha256.Size]byte, err error) {
	const attempts = 5 // if all fail, Start calls Load again at the next event or poll
	var before [sha256.Size]byte
	for range attempts {
		if files, err = readFiles(dir); errors.Is(err, fs.ErrNotExist) {
			continue // a kubelet may just have replaced the volume's directory by that of a new version
		}
		if err != nil {
			return nil, content, err
		}
		if content = sum(files); content == before {
			return files, content, nil
		}
		before = content
	}
	if err == nil {
		err = fmt.Errorf("read policy files: %s changed during each of %d reads", dir, attempts)
	}
	return nil, content, err
}

// sum returns a digest of the names and contents of files.
func sum(files []file) [sha256.Size]byte {
	hash := sha256.New()
	for _, file := range files {
		fmt.Fprintf(hash, "%q %d\n", file.name, len(file.text))
		hash.Write(file.text)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
