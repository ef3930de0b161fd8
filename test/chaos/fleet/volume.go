package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Volume is the volume of a replica's stored snapshot: a small tmpfs if this process may mount one, else a directory.
type Volume struct {
	// Dir is the directory.
	Dir string
	// Mounted says that the volume is a tmpfs, which can be filled.
	Mounted bool
}

// filler is the file that fills a volume.
const filler = ".filler"

func newVolume(dir string, bytes int) (*Volume, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes))
	return &Volume{Dir: dir, Mounted: err == nil}, nil
}

// Fill fills the volume. If it is a directory, Fill makes it read-only instead.
func (v *Volume) Fill() error {
	if !v.Mounted {
		return os.Chmod(v.Dir, 0o500)
	}
	file, err := os.OpenFile(filepath.Join(v.Dir, filler), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for piece := make([]byte, 4<<10); ; {
		if _, err := file.Write(piece); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Clear undoes Fill.
func (v *Volume) Clear() error {
	if !v.Mounted {
		return os.Chmod(v.Dir, 0o700)
	}
	return os.Remove(filepath.Join(v.Dir, filler))
}

// Damage replaces the content of every stored file by the result of damage, and returns the number of files.
func (v *Volume) Damage(damage func(content []byte) []byte) (files int, err error) {
	err = filepath.WalkDir(v.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == filler {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		return os.WriteFile(path, damage(content), 0o600)
	})
	return files, err
}

func (v *Volume) remove() {
	if v.Mounted {
		_ = syscall.Unmount(v.Dir, syscall.MNT_DETACH)
	}
}
