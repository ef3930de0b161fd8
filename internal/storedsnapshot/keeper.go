package storedsnapshot

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

const (
	// lookInterval is the time between two looks whether the API server is silent.
	lookInterval = 100 * time.Millisecond
	// untilRemoved is how long a disk has to remove the file before rules come into force all the same.
	untilRemoved = time.Second
	// untilWritten is the time between tries to write a file.
	untilWritten = 30 * time.Second
)

var errDiskHangs = errors.New("the disk does not answer")

// Keeper keeps the rules in force in a directory, and puts them in force at a start at which the API server does not answer. Only then
// is the file read into memory.
//
// Before other rules come into force, the file with the earlier ones is removed, and the new one is written after, whole or not at
// all: whatever becomes of that, no start brings back rules that this replica had left. No rules wait for the new file.
type Keeper struct {
	directory *Directory
	// remove is that of the directory; see removeFile.
	remove    func(epoch uint64) error
	binding   Binding
	publisher *publish.Publisher
	answers   *Answers
	metrics   *Metrics
	logger    logr.Logger
	removing  chan struct{} // full while a removal goes on
	wake      chan struct{} // full when there is a new waiting file

	mu      sync.Mutex
	digest  string     // of what the file holds, or will once it is written; "" where that is not known
	wanted  bool       // the start found a file, and no rules are in force
	inForce *time.Time // when the snapshot in force was written, if it is a stored one
	waiting *waitingFile

	faulty bool // of Run: the last try to write failed
}

// waitingFile is what is to be written next.
type waitingFile struct {
	policies []*publish.Policy
	synced   map[string]string
	digest   string
	epoch    uint64
	since    time.Time
}

// Options are what a Keeper is made from.
type Options struct {
	// Directory is the path of the directory, which must be there.
	Directory string
	// Binding is what is written, and what the file must be bound to.
	Binding Binding
	// Publisher is whose rules are kept. Nothing has been published by it.
	Publisher *publish.Publisher
	// Answers tells whether the API server answers.
	Answers *Answers
	// Metrics counts faults.
	Metrics *Metrics
	// Logger takes a line for each fault, and when a stored snapshot comes into force or leaves.
	Logger logr.Logger
}

// New returns a keeper of a publisher's rules, to be run. It checks the file that is there, and fails only if the directory is unusable;
// a refused file is logged.
func New(o Options) (*Keeper, error) {
	directory, err := OpenDirectory(o.Directory)
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		directory: directory, remove: directory.Remove, binding: o.Binding,
		publisher: o.Publisher, answers: o.Answers, metrics: o.Metrics, logger: o.Logger,
		removing: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	header, err := directory.Check()
	if header != nil {
		err = header.Check(o.Binding)
	}
	switch {
	case err != nil:
		k.refuse(err)
	case header != nil:
		k.digest, k.wanted = header.Digest, true
	}
	k.publisher.SetKeeper(k)
	return k, nil
}

// refuse notes that the file is refused. It stays until other rules come into force.
func (k *Keeper) refuse(err error) {
	cause := CauseUnreadable
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		cause = refusal.Cause
	}
	k.fault(faultRefused)
	k.logger.Error(err, "Stored snapshot refused", "file", k.directory.Path(), "cause", cause)
}

// InForce returns when the snapshot in force was written, if it is a stored one.
func (k *Keeper) InForce() (written time.Time, _ bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inForce == nil {
		return time.Time{}, false
	}
	return *k.inForce, true
}

// Run puts the stored snapshot in force once the API server is silent and nothing else is in force, and writes what comes into force,
// the latest only, until ctx ends. What is waiting then is written before it returns.
func (k *Keeper) Run(ctx context.Context) {
	k.answers.begin()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	again := time.NewTimer(0)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			k.write()
			return
		case <-look.C:
			if !k.isWanted() {
				look.Stop()
				k.answers.Stop()
			} else if k.answers.Silent() {
				k.restore(ctx)
			}
			continue
		case <-k.wake:
		case <-again.C:
		}
		again.Stop()
		if !k.write() {
			again.Reset(untilWritten)
		}
	}
}

func (k *Keeper) isWanted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wanted
}

// restore reads the file and puts what is in it in force, unless the API server answers meanwhile: its rules are then soon here, and a
// second version of all that is big would be in their way. If it falls silent again, the file is read again.
func (k *Keeper) restore(ctx context.Context) {
	wanted := func() bool { return ctx.Err() == nil && k.isWanted() && k.answers.Silent() }
	file, err := k.directory.Read(wanted)
	if errors.Is(err, errNotWanted) {
		return
	}
	if file != nil {
		err = file.Check(k.binding)
	}
	if file == nil && err == nil { // removed, as other rules come into force
		return
	}
	var snapshot *rules.Snapshot
	var rejections []rules.Rejection
	if err == nil {
		snapshot, rejections = k.publisher.Assemble(file.Policies)
		if got := snapshot.Digest(); got != file.Digest {
			err = refused(CauseOtherRules, "its policies compile to %s, and it was written for %s", got, file.Digest)
		}
	}
	if err != nil {
		k.mu.Lock()
		refuses := k.wanted
		if refuses { // and not the file of other rules that came into force meanwhile
			k.digest, k.wanted = "", false
		}
		k.mu.Unlock()
		if refuses {
			k.refuse(err)
		}
		return
	}
	if wanted() {
		k.publish(&file.Header, snapshot, len(rejections))
	}
}

// write writes what is waiting, if anything, and says whether nothing is waiting any more. Of a fault that stays only the first is
// logged.
func (k *Keeper) write() bool {
	k.mu.Lock()
	waiting := k.waiting
	k.mu.Unlock()
	if waiting == nil {
		return true
	}
	file := &Snapshot{Header: Header{Binding: k.binding, Written: waiting.since, Digest: waiting.digest, Synced: waiting.synced}}
	for _, policy := range waiting.policies {
		file.Policies = append(file.Policies, policy.Written)
	}
	err := k.directory.Write(file, waiting.epoch)
	switch {
	case errors.Is(err, ErrSuperseded): // what came after it wakes the writer
	case err != nil:
		k.fault(faultWriteFailed)
		if !k.faulty {
			k.logger.Error(err, "Snapshot not stored: a start without the API server would wait for it", "file", k.directory.Path())
		}
		k.faulty = true
		return false
	default:
		if k.faulty {
			k.logger.Info("Snapshot stored again", "file", k.directory.Path(), "digest", waiting.digest)
		}
		k.faulty = false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting == waiting {
		k.waiting = nil
	}
	return true
}

// publish puts a snapshot of the file in force unless another is.
func (k *Keeper) publish(header *Header, snapshot *rules.Snapshot, rejections int) {
	written := header.Written
	if !k.publisher.PublishIfNone(snapshot, header.Synced, rejections, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.inForce, k.wanted = &written, false
		k.metrics.inForce(written)
	}) {
		return
	}
	loglevel.Warn(k.logger, "Stored snapshot is in force: the API server has not answered", "digest", snapshot.Digest(),
		"policies", len(snapshot.Policies()), "rejections", rejections,
		"written", written, "age", time.Since(written).Round(time.Second).String())
}

// Invalidate removes the file unless it holds the rules with this digest, which come into force next. It is called by the publisher,
// under its lock.
func (k *Keeper) Invalidate(digest string) {
	k.mu.Lock()
	same := k.digest == digest
	if !same {
		k.digest, k.waiting, k.wanted = "", nil, false
	}
	k.mu.Unlock()
	if same {
		return
	}
	if err := k.removeFile(k.directory.Supersede()); err != nil {
		k.fault(faultRemoveFailed)
		k.logger.Error(err, "Earlier stored snapshot not removed: a start without the API server could bring it back",
			"file", k.directory.Path())
	}
}

// removeFile waits for a disk that hangs only so long: rules must come into force. A removal that ends later still has its effect.
func (k *Keeper) removeFile(epoch uint64) error {
	select {
	case k.removing <- struct{}{}:
	default:
		return errDiskHangs
	}
	removed := make(chan error, 1)
	go func() {
		err := k.remove(epoch)
		<-k.removing // before it is told: the next removal may follow at once
		removed <- err
	}()
	timeout := time.NewTimer(untilRemoved)
	defer timeout.Stop()
	select {
	case err := <-removed:
		return err
	case <-timeout.C:
		return errDiskHangs
	}
}

// Save has the policies written that the snapshot in force consists of. It is called by the publisher, under its lock, after that has
// come into force.
func (k *Keeper) Save(digest string, synced map[string]string, policies []*publish.Policy) {
	k.mu.Lock()
	same := k.digest == digest
	if !same {
		k.digest = digest
		k.waiting = &waitingFile{policies, synced, digest, k.directory.Epoch(), time.Now()}
	}
	k.mu.Unlock()
	if same {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Deactivate says that the rules in force are no longer stored ones. It is called by the publisher, under its lock.
func (k *Keeper) Deactivate() {
	k.mu.Lock()
	left := k.inForce
	k.inForce, k.wanted = nil, false
	k.mu.Unlock()
	if left != nil {
		k.metrics.left()
		k.logger.Info("Stored snapshot is no longer in force: the API server has answered")
	}
}

func (k *Keeper) fault(fault string) { k.metrics.faults.WithLabelValues(fault).Inc() }
