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
)

const (
	// fileName is that of the file; temporaryName is what it has until all of it is on the disk.
	fileName      = "snapshot"
	temporaryName = "snapshot.new"
	// mode lets nobody but the owner read the file.
	mode = 0o600
	// othersWrite are the bits of a file that others than its owner may write.
	othersWrite = 0o022
)

// ErrSuperseded says that a snapshot was not kept because a later one has come into force.
var ErrSuperseded = errors.New("a later snapshot has come into force")

// Directory is where one replica keeps its snapshot. Its methods may be called at the same time, of one Directory: two at one path
// would undo each other's work.
type Directory struct {
	path  string
	epoch atomic.Uint64

	mu   sync.Mutex // held while the file gets or loses its name
	held uint64     // the epoch of the file, if it was written by this Directory
}

// OpenDirectory returns the directory at path, which must be there.
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

// Check returns what the file says of the snapshot in it, once it is known to be whole; nil if there is no file. The error is a
// [RefusedError].
func (d *Directory) Check() (header *Header, err error) {
	err = d.readBy(func(file io.Reader, size int64) (err error) {
		header, err = decodeHeader(file, size)
		return err
	})
	return header, err
}

// Read returns the snapshot that the file holds, or nil if there is no file. The error is a [RefusedError], or errNotWanted as soon as
// the snapshot is not wanted any more.
func (d *Directory) Read(wanted func() bool) (snapshot *Snapshot, err error) {
	err = d.readBy(func(file io.Reader, size int64) (err error) {
		snapshot, err = decode(wantedReader{file, wanted}, size)
		return err
	})
	return snapshot, err
}

// readBy has the file read by a function, unless there is none.
func (d *Directory) readBy(read func(file io.Reader, size int64) error) error {
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

var errNotWanted = errors.New("not wanted any more")

// wantedReader reads as long as what it reads is wanted.
type wantedReader struct {
	file   io.Reader
	wanted func() bool
}

// Read implements [io.Reader].
func (r wantedReader) Read(text []byte) (int, error) {
	if !r.wanted() {
		return 0, errNotWanted
	}
	return r.file.Read(text)
}

// open opens the file if it is a good one to be read, and returns its size.
func (d *Directory) open() (_ *os.File, size int64, err error) {
	found, err := os.Lstat(d.Path()) // before it is opened: that could wait for ever, of a pipe
	if err != nil {
		return nil, 0, unreadable(err)
	}
	if !found.Mode().IsRegular() {
		return nil, 0, refused(CauseNotOurs, "no regular file: %s", found.Mode().Type())
	}
	file, err := os.OpenFile(d.Path(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, unreadable(err)
	}
	if found, err = file.Stat(); err != nil { // of what was opened: another may have taken its place
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
		return refused(CauseNotOurs, "no regular file: %s", found.Mode().Type())
	case owner == nil || int(owner.Uid) != os.Geteuid():
		return refused(CauseNotOurs, "owned by another user")
	case found.Mode().Perm()&othersWrite != 0:
		return refused(CauseNotOurs, "its mode %#o lets others write it", found.Mode().Perm())
	case found.Size() > maxFile:
		return refused(CauseTooBig, "over %d MiB", maxFile>>20)
	}
	return nil
}

// unreadable leaves a file that is not there an error of its own.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return refused(CauseUnreadable, "%v", err)
}

// Supersede begins another epoch and returns it: no snapshot of an earlier one gets into the file any more, however far it is. It
// does not wait for the disk.
func (d *Directory) Supersede() (epoch uint64) { return d.epoch.Add(1) }

// Epoch returns the present epoch.
func (d *Directory) Epoch() uint64 { return d.epoch.Load() }

// Remove removes the file of an earlier epoch, so that no later start can read it: that is to be done before later rules come into
// force. A file that cannot be removed is emptied, or at least spoilt, and if that works it is as good as gone. An error says that
// what was there may still be read.
//
// That the file is gone may not survive a loss of power until Write has begun.
func (d *Directory) Remove(epoch uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held >= epoch { // the disk was slow, and a later one is there already
		return nil
	}
	err := os.Remove(d.Path())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if spoilt := d.spoil(); spoilt != nil {
		return errors.Join(err, spoilt)
	}
	return nil
}

// spoil makes the file one that is refused: a directory that may not be written can hold a file that may.
func (d *Directory) spoil() error {
	file, err := os.OpenFile(d.Path(), os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	err = file.Truncate(0)
	if err != nil {
		_, err = file.WriteAt(make([]byte, preamble), 0)
	}
	return errors.Join(err, file.Close())
}

// Write puts a snapshot in the place of the file, all of it or nothing. In another epoch than this it returns ErrSuperseded: a
// later snapshot is in force. When it has returned without an error, the file survives a loss of power.
func (d *Directory) Write(s *Snapshot, epoch uint64) error {
	err := errors.Join(d.sync(), d.writeTemporary(s))
	if err == nil {
		err = d.rename(epoch)
	}
	if err != nil {
		_ = os.Remove(d.temporary()) // it takes up room
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
	d.held = epoch
	return nil
}

func (d *Directory) writeTemporary(s *Snapshot) error {
	// What an earlier process was killed at must not be in the way, or take up room.
	if err := os.Remove(d.temporary()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(d.temporary(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = s.encode(file)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// sync returns when what was renamed and removed survives a loss of power, as far as the file system can say so.
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
