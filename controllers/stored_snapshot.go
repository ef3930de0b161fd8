package controllers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/rules"
)

const (
	// untilStored is how long the API server has at the start before a stored snapshot comes into force. Where it is there, its
	// answer takes a few milliseconds, and seconds where it is overloaded.
	untilStored = 500 * time.Millisecond
	// untilRemoved is how long a disk has to remove the file before rules come into force all the same.
	untilRemoved = time.Second
	// untilWritten is the time between tries to write a file.
	untilWritten = 30 * time.Second
)

var errDiskHangs = errors.New("the disk does not answer")

// StoredSnapshot keeps the objects that the snapshot in force was compiled from in a directory, and puts them in force at a start
// at which the API server is away.
//
// Before other rules come into force, the file with the earlier ones is removed, and the new one is written after, whole or not at
// all: whatever becomes of that, no start brings back rules that this replica had left. No rules wait for the new file.
type StoredSnapshot struct {
	directory *snapshotfile.Directory
	// remove is that of the directory; see removeFile.
	remove    func(epoch uint64) error
	binding   snapshotfile.Binding
	publisher *publish.Publisher
	lists     *publish.Lists
	metrics   *storedMetrics
	logger    logr.Logger

	// found is what the start found; nil once rules of the API server are in force.
	found atomic.Pointer[foundSnapshot]

	// These belong to the publisher, and are used under its lock.
	digest   string        // of what the file holds, or will once it is written; "" where that is not known
	removing chan struct{} // full while a removal goes on

	mu      sync.Mutex
	inForce *time.Time // when the snapshot in force was written, if it is a stored one
	waiting *waitingFile
	wake    chan struct{} // full when there is a new one

	faulty bool // of Run: the last try to write failed
}

// foundSnapshot is a stored snapshot that was read, checked and compiled.
type foundSnapshot struct {
	file       *snapshotfile.Snapshot // without its objects
	snapshot   *rules.Snapshot
	rejections []rules.Rejection
}

// waitingFile is what is to be written next.
type waitingFile struct {
	inputs []publish.Inputs
	synced map[string]string
	digest string
	epoch  uint64
	since  time.Time
}

// KeepSnapshots makes the reconciler keep its snapshots in the directory at path, which must be there, and reads the one that is
// there, if it has the same binding. An error is about the directory; that a file is refused is none.
//
// It is called before the reconciler is first used, and the result is to be run beside it.
func (r *RulesReconciler) KeepSnapshots(
	ctx context.Context, path string, binding snapshotfile.Binding, metrics *Metrics,
) (*StoredSnapshot, error) {
	directory, err := snapshotfile.OpenDirectory(path)
	if err != nil {
		return nil, err
	}
	s := &StoredSnapshot{
		directory: directory, remove: directory.Remove, binding: binding,
		publisher: r.publisher, lists: r.lists, metrics: metrics.stored, logger: r.logger,
		removing: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	found, err := s.read(ctx, r.converter)
	switch refusal, refused := errors.AsType[*snapshotfile.RefusedError](err); {
	case refused:
		s.fault(faultRefused)
		s.logger.Error(err, "Stored snapshot refused", "file", directory.Path(), "cause", refusal.Cause)
	case err != nil:
		return nil, err
	case found != nil:
		s.found.Store(found)
		s.digest = found.file.Digest
	}
	r.publisher.KeepIn(s)
	return s, nil
}

// read returns what the directory holds, nil if that is nothing. The error is a RefusedError, or a fault of the operator.
func (s *StoredSnapshot) read(ctx context.Context, convert converter) (*foundSnapshot, error) {
	file, err := s.directory.Read()
	if file == nil || err != nil {
		return nil, err
	}
	if err := file.Check(s.binding); err != nil {
		return nil, err
	}
	policies, err := storedPolicies(ctx, convert, s.lists, file)
	if err != nil {
		return nil, err
	}
	found := &foundSnapshot{file: file}
	found.snapshot, found.rejections = s.publisher.Assemble(policies)
	if got := found.snapshot.Digest(); got != file.Digest {
		return nil, &snapshotfile.RefusedError{
			Cause: snapshotfile.CauseOtherRules, Detail: "its policies compile to " + got + ", and it was written for " + file.Digest,
		}
	}
	file.Policies, file.Lists = nil, nil // big, and compiled
	return found, nil
}

// InForce returns when the snapshot in force was written, if it is a stored one.
func (s *StoredSnapshot) InForce() (written time.Time, _ bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inForce == nil {
		return time.Time{}, false
	}
	return *s.inForce, true
}

// Run puts the stored snapshot in force if by a moment from now nothing else is, and writes what comes into force, the latest only,
// until ctx ends. What is waiting then is written before it returns.
func (s *StoredSnapshot) Run(ctx context.Context) {
	start := time.NewTimer(untilStored)
	defer start.Stop()
	again := time.NewTimer(0)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			s.write()
			return
		case <-start.C:
			s.publish()
			continue
		case <-s.wake:
		case <-again.C:
		}
		again.Stop()
		if !s.write() {
			again.Reset(untilWritten)
		}
	}
}

// write writes what is waiting, if anything, and says whether nothing is waiting any more. Of a fault that stays only the first is
// logged.
func (s *StoredSnapshot) write() bool {
	s.mu.Lock()
	waiting := s.waiting
	s.mu.Unlock()
	if waiting == nil {
		return true
	}
	file := fileOf(waiting.inputs)
	file.Binding, file.Digest, file.Written, file.Synced = s.binding, waiting.digest, waiting.since, waiting.synced
	err := s.directory.Write(file, waiting.epoch)
	switch {
	case errors.Is(err, snapshotfile.ErrSuperseded): // what came after it wakes the writer
	case err != nil:
		s.fault(faultWriteFailed)
		if !s.faulty {
			s.logger.Error(err, "Snapshot not stored: a start without the API server would wait for it", "file", s.directory.Path())
		}
		s.faulty = true
		return false
	default:
		if s.faulty {
			s.logger.Info("Snapshot stored again", "file", s.directory.Path(), "digest", waiting.digest)
		}
		s.faulty = false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == waiting {
		s.waiting = nil
	}
	return true
}

// publish puts the snapshot in force that the start found, if there is one and nothing else is in force.
func (s *StoredSnapshot) publish() {
	found := s.found.Load()
	if found == nil {
		return
	}
	written := found.file.Written
	if !s.publisher.PublishIfNone(found.snapshot, found.file.Synced, len(found.rejections), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inForce = &written
		s.metrics.inForce(written)
	}) {
		return
	}
	loglevel.Warn(s.logger, "Stored snapshot is in force: the API server has not answered", "digest", found.snapshot.Digest(),
		"policies", len(found.snapshot.Policies()), "rejections", len(found.rejections),
		"written", written, "age", time.Since(written).Round(time.Second).String())
}

// Invalidate removes the file unless it holds the rules with this digest, which come into force next. It is called by the publisher,
// under its lock.
func (s *StoredSnapshot) Invalidate(digest string) {
	if s.digest == digest {
		return
	}
	s.digest = ""
	s.mu.Lock()
	s.waiting = nil
	s.mu.Unlock()
	if err := s.removeFile(s.directory.Supersede()); err != nil {
		s.fault(faultRemoveFailed)
		s.logger.Error(err, "Earlier stored snapshot not removed: a start without the API server could bring it back",
			"file", s.directory.Path())
	}
}

// removeFile waits for a disk that hangs only so long: rules must come into force. A removal that ends later still has its effect.
func (s *StoredSnapshot) removeFile(epoch uint64) error {
	select {
	case s.removing <- struct{}{}:
	default:
		return errDiskHangs
	}
	removed := make(chan error, 1)
	go func() {
		err := s.remove(epoch)
		<-s.removing // before it is told: the next removal may follow at once
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

// Save has the objects written from which the snapshot in force was built. It is called by the publisher, under its lock, after
// that has come into force. Of inconsistent objects nothing is kept: the change that fell between makes another build.
func (s *StoredSnapshot) Save(digest string, synced map[string]string, inputs []publish.Inputs) {
	if s.digest == digest || slices.ContainsFunc(inputs, func(i publish.Inputs) bool { return i.Inconsistent }) {
		return
	}
	s.digest = digest
	s.mu.Lock()
	s.waiting = &waitingFile{inputs, synced, digest, s.directory.Epoch(), time.Now()}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Deactivate says that the rules in force are no longer stored ones. It is called by the publisher, under its lock.
func (s *StoredSnapshot) Deactivate() {
	if s.found.Swap(nil) != nil {
		s.lists.Forget(storedGroup)
	}
	s.mu.Lock()
	left := s.inForce
	s.inForce = nil
	s.mu.Unlock()
	if left != nil {
		s.metrics.left()
		s.logger.Info("Stored snapshot is no longer in force: the API server has answered")
	}
}

func (s *StoredSnapshot) fault(fault string) { s.metrics.faults.WithLabelValues(fault).Inc() }
