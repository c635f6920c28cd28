package stored

import (
	"fmt"
	"os"
	"path/filepath"
)

// Identity tells a file from others, and from itself after a change.
type Identity struct {
	Path     string
	Size     int64
	Modified int64  // nanoseconds
	Inode    uint64 // 0 where the system does not tell
	Changed  int64  // nanoseconds, when anything of the file last changed, which nobody can set; 0 where the system does not tell
}

// IdentityOf is the identity of what a path leads to, of which info was asked.
func IdentityOf(path string, info os.FileInfo) Identity {
	inode, changed, _ := status(info)
	return Identity{path, info.Size(), info.ModTime().UnixNano(), inode, changed}
}

// File is a file that is not to change any more. It stays open until nothing refers to it.
type File struct {
	Identity
	file *os.File
}

// Open opens a file.
func Open(path string) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	f := &File{Identity{Path: path}, file}
	if f.Identity, err = f.now(); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

// open refuses what is no file: a pipe that nobody writes to would be waited for.
func open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return os.Open(path)
}

// Named is a file that another process has opened. It is opened when it is first read, as long as it is what it was there.
func Named(identity Identity) *File { return &File{Identity: identity} }

// now is the identity of the file as it is.
func (f *File) now() (Identity, error) {
	info, err := f.file.Stat()
	if err != nil {
		return Identity{}, err
	}
	identity := IdentityOf(f.Path, info)
	if _, _, named := status(info); !named { // it was removed, or another took its place, which changes nothing of what can still be read here
		identity.Changed = f.Changed
	}
	return identity, nil
}

// check opens the file if need be, and refuses one that has been written to since it was first opened.
func (f *File) check() (err error) {
	if f.file == nil {
		if f.file, err = open(f.Path); err != nil {
			return err
		}
	}
	now, err := f.now()
	if err == nil && now != f.Identity {
		err = fmt.Errorf("%s is not the file that it was when it was opened: it has been written to since, moved, or replaced", f.Path)
	}
	return err
}

// ReadAt reads bytes from an offset on.
func (f *File) ReadAt(into []byte, offset int64) (int, error) { return f.file.ReadAt(into, offset) }
