package storedsnapshot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"registrationpolicy.dev/operator/internal/snapshotfile"
)

const (
	// fileName is the name of the file. A new file is written as temporaryName, and renamed to fileName once all of it
	// is on the disk. So a crash leaves the old file or the new one, never a part of one.
	fileName      = "snapshot"
	temporaryName = "snapshot.new"
	// mode lets only the owner read and write the file.
	mode = 0o600
	// othersWrite are the mode bits that let group and others write.
	othersWrite = 0o022
)

// ErrSuperseded means that a snapshot was not written, because a later snapshot is in force.
var ErrSuperseded = errors.New("a later snapshot is in force")

// Directory stores the snapshot of one replica in a file. Its methods may be called concurrently. Two Directories must
// not share a path: each would overwrite and remove the file of the other.
//
// Each change of the rules in force starts a new epoch, and the number of changes since the start is its number. A
// write belongs to the epoch in which it started, and fails in a later one. So a slow write cannot bring back rules
// that were replaced.
type Directory struct {
	path  string
	epoch atomic.Uint64 // how often the rules in force have changed since the start

	mu        sync.Mutex // held while the file is renamed or removed
	fileEpoch uint64     // the epoch whose rules the file holds; 0 if this Directory has written none
}

// OpenDirectory returns the directory at path, which must exist.
func OpenDirectory(path string) (*Directory, error) {
	found, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !found.IsDir():
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	return &Directory{path: path}, nil
}

// Path returns the path of the file.
func (d *Directory) Path() string { return filepath.Join(d.path, fileName) }

func (d *Directory) temporary() string { return filepath.Join(d.path, temporaryName) }

// Check reads the file, compares its checksum, and returns its header, or nil if there is no file. The error is a
// [snapshotfile.RefusedError].
func (d *Directory) Check() (header *snapshotfile.Header, err error) {
	err = d.withFile(func(file io.Reader, size int64) (err error) {
		header, err = snapshotfile.DecodeHeader(file, size)
		return err
	})
	return header, err
}

// Read returns the snapshot in the file, or nil if there is no file. It reads the file in parts, and calls needed
// before each. If needed returns false, Read stops with an error that wraps errNoLongerNeeded. Any error is a
// [snapshotfile.RefusedError].
func (d *Directory) Read(needed func() bool) (snapshot *snapshotfile.Snapshot, err error) {
	err = d.withFile(func(file io.Reader, size int64) (err error) {
		snapshot, err = snapshotfile.Decode(cancelableReader{file, needed}, size)
		return err
	})
	return snapshot, err
}

// withFile calls read with the open file. If there is no file it returns nil.
func (d *Directory) withFile(read func(file io.Reader, size int64) error) error {
	file, size, err := d.open()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = file.Close() }()
	return read(file, size)
}

var errNoLongerNeeded = errors.New("the snapshot is no longer needed")

// cancelableReader fails with errNoLongerNeeded once needed returns false.
type cancelableReader struct {
	file   io.Reader
	needed func() bool
}

// Read implements [io.Reader].
func (r cancelableReader) Read(buf []byte) (int, error) {
	if !r.needed() {
		return 0, errNoLongerNeeded
	}
	return r.file.Read(buf)
}

// open opens the file and returns its size in bytes. It refuses anything but a regular file that belongs to this user
// and that only this user can write.
func (d *Directory) open() (_ *os.File, size int64, err error) {
	found, err := os.Lstat(d.Path()) // before opening, because opening a named pipe can block for ever
	if err != nil {
		return nil, 0, unreadable(err)
	}
	if !found.Mode().IsRegular() {
		return nil, 0, snapshotfile.Refusef(snapshotfile.CauseNotOurs, "not a regular file: %s", found.Mode().Type())
	}
	file, err := os.OpenFile(d.Path(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, unreadable(err)
	}
	if found, err = file.Stat(); err != nil { // again, because another file may have taken the path since Lstat
		err = unreadable(err)
	} else {
		err = checkFile(found)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, found.Size(), nil
}

func checkFile(found fs.FileInfo) error {
	owner, _ := found.Sys().(*syscall.Stat_t)
	switch {
	case !found.Mode().IsRegular():
		return snapshotfile.Refusef(snapshotfile.CauseNotOurs, "not a regular file: %s", found.Mode().Type())
	case owner == nil || int(owner.Uid) != os.Geteuid():
		return snapshotfile.Refusef(snapshotfile.CauseNotOurs, "owned by another user")
	case found.Mode().Perm()&othersWrite != 0:
		return snapshotfile.Refusef(snapshotfile.CauseNotOurs, "its mode %#o lets others write it", found.Mode().Perm())
	case found.Size() > snapshotfile.MaxSize:
		return snapshotfile.Refusef(snapshotfile.CauseTooBig, "over %d MiB", snapshotfile.MaxSize>>20)
	}
	return nil
}

// unreadable returns a [snapshotfile.RefusedError] for an error of opening the file. It returns [fs.ErrNotExist]
// unchanged, because a replica without a file has nothing to refuse.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return snapshotfile.Unreadable(err)
}

// Supersede starts a new epoch and returns it. From then on each [Directory.Write] of an earlier epoch fails, even one
// that has already started. Supersede does not wait for the disk.
func (d *Directory) Supersede() (epoch uint64) { return d.epoch.Add(1) }

// Epoch returns the current epoch: the number of calls of [Directory.Supersede].
func (d *Directory) Epoch() uint64 { return d.epoch.Load() }

// Remove removes the file if its epoch is before the given one. Call Remove before the rules of that epoch come into
// force. Otherwise a restart could bring back the older rules in the file. If the file cannot be removed, Remove
// overwrites it. It fails only if the old file may still be readable.
//
// Remove does not sync the directory to the disk, so that a power failure can undo the removal. The next
// [Directory.Write] syncs it first.
func (d *Directory) Remove(epoch uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fileEpoch >= epoch { // the removal was slow, and the newer file has already been written
		return nil
	}
	err := os.Remove(d.Path())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if overwriteErr := d.overwrite(); overwriteErr != nil {
		return errors.Join(err, overwriteErr)
	}
	return nil
}

// overwrite empties the file or zeroes its first bytes, so that a later start refuses it. This works even in a
// read-only directory, in which no file can be removed.
func (d *Directory) overwrite() error {
	file, err := os.OpenFile(d.Path(), os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	err = file.Truncate(0)
	if err != nil {
		_, err = file.WriteAt(make([]byte, snapshotfile.MagicSize), 0)
	}
	return errors.Join(err, file.Close())
}

// Write replaces the file atomically. epoch is the epoch whose rules s has. Write returns [ErrSuperseded] if a later
// epoch has started. After Write has returned without an error, the file survives a power failure.
func (d *Directory) Write(s *snapshotfile.Snapshot, epoch uint64) error {
	err := errors.Join(d.sync(), d.writeTemporary(s))
	if err == nil {
		err = d.rename(epoch)
	}
	if err != nil {
		_ = os.Remove(d.temporary()) // a leftover file takes up space
		return err
	}
	return d.sync()
}

func (d *Directory) rename(epoch uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.epoch.Load() != epoch {
		return ErrSuperseded
	}
	if err := os.Rename(d.temporary(), d.Path()); err != nil {
		return err
	}
	d.fileEpoch = epoch
	return nil
}

func (d *Directory) writeTemporary(s *snapshotfile.Snapshot) error {
	// A process that was killed during a write leaves the temporary file behind.
	if err := os.Remove(d.temporary()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(d.temporary(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = s.Encode(file)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// sync writes earlier renames and removals in the directory to the disk. It does nothing on a file system that cannot
// sync a directory.
func (d *Directory) sync() error {
	directory, err := os.Open(d.path)
	if err != nil {
		return err
	}
	err = directory.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, directory.Close())
}
