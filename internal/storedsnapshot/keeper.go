package storedsnapshot

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/rules"
)

const (
	// checkInterval is the time between two calls of [ResponseMonitor.Silent].
	checkInterval = 100 * time.Millisecond
	// removeTimeout is how long new rules wait for the removal of the old file. After that they come into force anyway.
	removeTimeout = time.Second
	// writeRetryInterval is the time from a failed write to the next attempt.
	writeRetryInterval = 30 * time.Second
)

var errDiskHangs = errors.New("the disk does not respond")

// Keeper stores the rules in force in a directory. If the API server does not answer at a start, Keeper reads the file
// and publishes the rules in it.
//
// The publisher calls [Keeper.Invalidate] before new rules come into force, which removes the old file, and
// [Keeper.Save] afterwards. [Keeper.Run] then writes the new file. So new rules do not wait for the new file, and even
// if writing it fails, no restart brings back rules that this replica has replaced.
type Keeper struct {
	directory *Directory
	remove    func(epoch uint64) error // directory.Remove, replaced in tests
	binding   snapshotfile.Binding
	publisher *publish.Publisher
	responses *ResponseMonitor
	metrics   *Metrics
	logger    logr.Logger
	removing  chan struct{} // a semaphore for one removal at a time
	wake      chan struct{} // receives a value from Save when Run must do a new pending write

	mu         sync.Mutex
	digest     string        // of the rules in the file, or in the pending write; "" if unknown
	restorable bool          // New found a good file, and no rules have come into force since
	inForce    *time.Time    // when the stored snapshot in force was written; nil if the rules in force are not stored ones
	pending    *pendingWrite // nil if there is nothing to write

	writeFailing bool // the last write failed; used by Run only
}

// pendingWrite is the snapshot to be written next: the parameters of [Keeper.Save], and when it was called.
type pendingWrite struct {
	policies []*publish.Policy
	synced   map[string]string
	digest   string
	epoch    uint64    // the epoch of the [Directory] at the call of Save
	since    time.Time // the time of the call of Save
}

// Options are the parameters of a Keeper. All are required.
type Options struct {
	// Directory is the path of the directory, which must exist.
	Directory string
	// Binding is the configuration of this operator. It is written to the file, and a file with another configuration
	// is refused.
	Binding snapshotfile.Binding
	// Publisher publishes the rules. It must not have published rules yet.
	Publisher *publish.Publisher
	// Responses tells whether the API server answers.
	Responses *ResponseMonitor
	// Metrics count faults, and show whether a stored snapshot is in force.
	Metrics *Metrics
	// Logger gets a line for each fault, and when a stored snapshot comes into force or is replaced.
	Logger logr.Logger
}

// New returns a Keeper for the rules of a publisher. The caller must then call [Keeper.Run]. New checks the file, if
// there is one, and logs a refused file. New fails only if the directory is unusable.
func New(o Options) (*Keeper, error) {
	directory, err := OpenDirectory(o.Directory)
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		directory: directory, remove: directory.Remove, binding: o.Binding,
		publisher: o.Publisher, responses: o.Responses, metrics: o.Metrics, logger: o.Logger,
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
		k.digest, k.restorable = header.Digest, true
	}
	k.publisher.SetKeeper(k)
	return k, nil
}

// refuse logs and counts a refused file. The file stays until [Keeper.Invalidate] removes it.
func (k *Keeper) refuse(err error) {
	cause := snapshotfile.CauseUnreadable
	if refusal, ok := errors.AsType[*snapshotfile.RefusedError](err); ok {
		cause = refusal.Cause
	}
	k.fault(faultRefused)
	k.logger.Error(err, "Stored snapshot refused", "file", k.directory.Path(), "cause", cause)
}

// InForce returns the time at which the stored snapshot in force was written, and false if the rules in force are not
// stored ones.
func (k *Keeper) InForce() (written time.Time, _ bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inForce == nil {
		return time.Time{}, false
	}
	return *k.inForce, true
}

// Run publishes the stored snapshot if the API server does not answer and no rules are in force yet. After each change
// it writes the rules in force to the file. When ctx ends, Run does a pending write and returns.
func (k *Keeper) Run(ctx context.Context) {
	k.responses.start()
	look := time.NewTicker(checkInterval)
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
			if !k.canRestore() {
				look.Stop()
				k.responses.Stop()
			} else if k.responses.Silent() {
				k.restore(ctx)
			}
			continue
		case <-k.wake:
		case <-again.C:
		}
		again.Stop()
		if !k.write() {
			again.Reset(writeRetryInterval)
		}
	}
}

func (k *Keeper) canRestore() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.restorable
}

// restore reads the file and publishes the rules in it. It stops as soon as the API server answers: the current rules
// then arrive soon, and large lists of both the file and the API server could exceed the memory limit. If the API
// server stops answering again, Run calls restore again.
func (k *Keeper) restore(ctx context.Context) {
	needed := func() bool { return ctx.Err() == nil && k.canRestore() && k.responses.Silent() }
	file, err := k.directory.Read(needed)
	if errors.Is(err, errNoLongerNeeded) {
		return
	}
	if file != nil {
		err = file.Check(k.binding)
	}
	if file == nil && err == nil { // Invalidate has removed the file, because rules from the API server come into force
		return
	}
	var snapshot *rules.Snapshot
	var rejections []rules.Rejection
	if err == nil {
		snapshot, rejections = k.publisher.Assemble(file.Policies)
		if got := snapshot.Digest(); got != file.Digest {
			err = snapshotfile.Refusef(snapshotfile.CauseOtherRules,
				"its policies compile to digest %s, but it was written for %s", got, file.Digest)
		}
	}
	if err != nil {
		k.mu.Lock()
		// If restorable is false, rules from the API server come into force, and Invalidate may have overwritten the
		// file while it was read. The file is then not refused.
		restorable := k.restorable
		if restorable {
			k.digest, k.restorable = "", false
		}
		k.mu.Unlock()
		if restorable {
			k.refuse(err)
		}
		return
	}
	if needed() {
		k.publish(&file.Header, snapshot, len(rejections))
	}
}

// write writes the pending snapshot to the file, if there is one. It returns false if the caller must try again. It
// logs only the first of several failures in a row.
func (k *Keeper) write() bool {
	k.mu.Lock()
	pending := k.pending
	k.mu.Unlock()
	if pending == nil {
		return true
	}
	file := &snapshotfile.Snapshot{Header: snapshotfile.Header{
		Binding: k.binding, Written: pending.since, Digest: pending.digest, Synced: pending.synced,
	}}
	for _, policy := range pending.policies {
		file.Policies = append(file.Policies, policy.Written)
	}
	err := k.directory.Write(file, pending.epoch)
	switch {
	case errors.Is(err, ErrSuperseded): // later rules come into force, and are written after their call of Save
	case err != nil:
		k.fault(faultWriteFailed)
		if !k.writeFailing {
			k.logger.Error(err, "Snapshot not stored: a start without the API server would wait for it", "file", k.directory.Path())
		}
		k.writeFailing = true
		return false
	default:
		if k.writeFailing {
			k.logger.Info("Snapshot stored again", "file", k.directory.Path(), "digest", pending.digest)
		}
		k.writeFailing = false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pending == pending {
		k.pending = nil
	}
	return true
}

// publish puts the snapshot of the file in force, unless other rules are in force already.
func (k *Keeper) publish(header *snapshotfile.Header, snapshot *rules.Snapshot, rejections int) {
	written := header.Written
	if !k.publisher.PublishIfNone(snapshot, header.Synced, rejections, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.inForce, k.restorable = &written, false
		k.metrics.activated(written)
	}) {
		return
	}
	loglevel.Warn(k.logger, "Stored snapshot is in force: the API server has not answered", "digest", snapshot.Digest(),
		"policies", len(snapshot.Policies()), "rejections", rejections,
		"written", written, "age", time.Since(written).Round(time.Second).String())
}

// Invalidate removes the file, unless the rules in it have this digest. The publisher calls Invalidate under its lock,
// before the rules with this digest come into force.
func (k *Keeper) Invalidate(digest string) {
	k.mu.Lock()
	same := k.digest == digest
	if !same {
		k.digest, k.pending, k.restorable = "", nil, false
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

// removeFile calls [Directory.Remove], and waits for it at most removeTimeout: new rules must not wait for a disk that
// hangs. After the timeout the removal continues in the background.
func (k *Keeper) removeFile(epoch uint64) error {
	select {
	case k.removing <- struct{}{}:
	default:
		return errDiskHangs
	}
	removed := make(chan error, 1)
	go func() {
		err := k.remove(epoch)
		// Free removing before sending the result, because its receiver may call removeFile again at once.
		<-k.removing
		removed <- err
	}()
	timeout := time.NewTimer(removeTimeout)
	defer timeout.Stop()
	select {
	case err := <-removed:
		return err
	case <-timeout.C:
		return errDiskHangs
	}
}

// Save makes [Keeper.Run] write these policies to the file, unless the file already has rules with this digest. The
// publisher calls Save under its lock, after the policies have come into force.
func (k *Keeper) Save(digest string, synced map[string]string, policies []*publish.Policy) {
	k.mu.Lock()
	same := k.digest == digest
	if !same {
		k.digest = digest
		k.pending = &pendingWrite{policies, synced, digest, k.directory.Epoch(), time.Now()}
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

// Deactivate records that the rules in force come from the API server, not from the file. The publisher calls it under
// its lock.
func (k *Keeper) Deactivate() {
	k.mu.Lock()
	stored := k.inForce
	k.inForce, k.restorable = nil, false
	k.mu.Unlock()
	if stored != nil {
		k.metrics.deactivated()
		k.logger.Info("Stored snapshot is no longer in force: the API server has answered")
	}
}

func (k *Keeper) fault(fault string) { k.metrics.faults.WithLabelValues(fault).Inc() }
