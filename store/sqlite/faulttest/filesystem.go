package faulttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// filesystem is a disk as SQLite sees it.
type filesystem struct{ disk *Disk }

var _ vfs.VFSFilename = filesystem{}

// recorded are the files that a crash leaves. All others are temporary.
const recorded = vfs.OPEN_MAIN_DB | vfs.OPEN_WAL | vfs.OPEN_MAIN_JOURNAL

// Open opens temporary files only: the others come with a Filename.
func (s filesystem) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return vfsutil.WrapOpen(s.disk.system, name, flags)
}

// OpenFilename opens a file, and knows it from then on.
func (s filesystem) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if flags&recorded == 0 {
		return vfsutil.WrapOpenFilename(s.disk.system, name, flags)
	}
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	path := name.String()
	if r := d.call(kindOf(path), Open, false); r != nil {
		return nil, flags, r.Error.of(Open)
	}
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	inner, out, err := vfsutil.WrapOpenFilename(d.system, name, flags)
	if err != nil {
		return nil, out, err
	}
	node, err := d.known(path, fresh)
	if err != nil {
		return nil, out, errors.Join(err, inner.Close())
	}
	f := &file{File: inner, disk: d, node: node, kind: kindOf(path), told: node.failures}
	// SQLite syncs the directory with the first sync of a file that it may have
	// created, other than the database.
	f.nameless = f.kind != Database && flags&vfs.OPEN_CREATE != 0
	return f, out, nil
}

// known returns the file of that name.
func (d *Disk) known(path string, fresh bool) (*inode, error) {
	if node := d.names.live[path]; node != nil {
		return node, nil
	}
	if fresh {
		return d.names.create(path), nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("faulttest: reading a file that was there before: %w", err)
	}
	return d.names.adopt(path, content), nil
}

// Delete takes a name away.
func (s filesystem) Delete(name string, syncDir bool) error {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.call(kindOf(name), Delete, false); r != nil {
		return r.Error.of(Delete)
	}
	if err := d.system.Delete(name, false); err != nil {
		return err
	}
	d.names.remove(name)
	if syncDir {
		d.names.settle()
	}
	return nil
}

// Access asks the operating system.
func (s filesystem) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return s.disk.system.Access(name, flags)
}

// FullPathname asks the operating system.
func (s filesystem) FullPathname(name string) (string, error) {
	return s.disk.system.FullPathname(name)
}
