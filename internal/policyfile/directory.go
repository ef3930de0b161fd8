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

// Directory keeps the snapshot in a store equal to the policies and lists in a directory of files: an operator without a cluster.
// Files are held to the rules that the API server enforces, and then go the way of stored objects.
type Directory struct {
	path      string
	schema    *policyobject.Schema
	watcher   *dirwatch.Watcher
	publisher *publish.Publisher
	lists     *publish.Lists
	scopes    policyobject.Scopes
	metrics   *publish.Metrics
	logger    logr.Logger
	content   [sha256.Size]byte // of the files last read, in force or not
	refusal   error             // what is wrong with that content
	warned    []lint.Warning    // what looks wrong in it, as far as it is in force
	logged    refusedReading    // what a refusal was last logged of

	mu  sync.Mutex
	err error // of the last reading
}

// OpenDirectory begins to watch the directory at path. It reads nothing yet. Of its policies, what scopes leave in force is
// published in store.
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
		path: path, schema: schema, watcher: watcher,
		publisher: publish.New(publish.Options{Bound: scopes.Bound, Store: store, Metrics: metrics, Logger: logger}),
		lists:     publish.NewLists(metrics), scopes: scopes, metrics: metrics, logger: logger,
	}, nil
}

// Load reads all files and publishes their policies. If any file is bad, its error names file, line and fix, and the
// snapshot stays as it is, as a whole: everything that can fail happens before anything live is touched.
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
		return d.refusal
	}
	documents, err := d.parseAll(ctx, files)
	d.content, d.refusal = content, err
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
	for _, rejection := range d.publisher.PublishAll(policies) {
		d.logRejection(documents, rejection)
	}
	d.logWarnings(documents, policies)
	for _, namespace := range d.scopes.Namespaces() {
		if !slices.ContainsFunc(policies, func(policy rules.Policy) bool { return policy.Namespace == namespace }) {
			// With the name of another, the namespace that was meant is not bounded.
			loglevel.Warn(d.logger, "Bounded namespace has no policy: is it misspelt?", "namespace", namespace)
		}
	}
	return nil
}

func (d *Directory) parseAll(ctx context.Context, files []file) ([]*document, error) {
	var documents []*document
	var errs []error
	for _, file := range files {
		if file.ignored {
			loglevel.Warn(d.logger, "Not a policy file: its name ends in none of .yaml, .yml, .json", "file", file.name)
			continue
		}
		found, err := d.parse(ctx, file)
		documents = append(documents, found...)
		errs = append(errs, err)
	}
	errs = append(errs, unique(documents))
	return documents, errors.Join(errs...)
}

// Start loads anew whenever files change, until ctx ends; it never fails. A bad change leaves the earlier rules in force, and
// is logged, counted, and returned by Err.
func (d *Directory) Start(ctx context.Context) error {
	d.watcher.Run(ctx, func() {
		before := d.Err()
		err := d.Load(ctx)
		if err == nil && before != nil {
			d.logger.Info("Policy files accepted again")
		}
		d.logRefusal(err)
	})
	return nil
}

// refusedReading tells one refused state of the files from another.
type refusedReading struct {
	content [sha256.Size]byte
	text    string
}

// maxLoggedFaults is how many faults of one reading are logged: more than anybody fixes in one go.
const maxLoggedFaults = 100

// logRefusal logs each fault of a refused reading in a line of its own, unless it did at the last reading too.
func (d *Directory) logRefusal(err error) {
	if err == nil {
		d.logged = refusedReading{}
		return
	}
	reading := refusedReading{d.content, err.Error()}
	if d.logged == reading {
		return
	}
	d.logged = reading
	found := faults(err)
	for _, fault := range found[:min(len(found), maxLoggedFaults)] {
		d.logger.Error(fault, "Policy files refused; the earlier rules stay in force")
	}
	if more := len(found) - maxLoggedFaults; more > 0 {
		d.logger.Error(nil, "Policy files refused for more faults than are logged", "further", more)
	}
}

// faults returns the errors that were joined, in order.
func faults(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, faults(err)...)
	}
	return all
}

// Err returns what was wrong with the last reading; nil means that the files are in force as they are.
func (d *Directory) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *Directory) logRejection(documents []*document, rejection rules.Rejection) {
	for _, document := range documents {
		if document.policy.PolicyName == rejection.Policy {
			loglevel.Warn(d.logger, "Part of a policy is not in force", "policy", rejection.Policy.String(),
				"at", document.place(rejection.Path), "path", rejection.Path, "why", rejection.Message)
		}
	}
}

// unique refuses two objects of one kind and name: in a cluster, the later would replace the earlier.
func unique(documents []*document) error {
	first := map[string]*document{}
	var errs []error
	for _, document := range documents {
		name := document.name()
		if other, found := first[name]; found {
			errs = append(errs, fmt.Errorf("%s: there is another %s at %s; give it another name",
				document.place("metadata.name"), name, other.place("metadata.name")))
			continue
		}
		first[name] = document
	}
	return errors.Join(errs...)
}

// readStable reads the files of a directory until they are twice the same. A decision depends on one whole state, and files
// that change between two reads are half of one and half of another.
func readStable(dir string) (files []file, content [sha256.Size]byte, err error) {
	const most = 5 // the next notice, or look at the directory, tries again
	var before [sha256.Size]byte
	for range most {
		if files, err = readFiles(dir); errors.Is(err, fs.ErrNotExist) {
			continue // perhaps a version of a volume that a kubelet has just removed
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
		err = fmt.Errorf("read policy files: %s changes while it is read", dir)
	}
	return nil, content, err
}

func sum(files []file) [sha256.Size]byte {
	hash := sha256.New()
	for _, file := range files {
		fmt.Fprintf(hash, "%q %d\n", file.name, len(file.text))
		hash.Write(file.text)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
