package faulttest

import (
	"bytes"
	"errors"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// file is one connection's handle of a file. It offers no memory mapping, so that
// every read can fail.
type file struct {
	vfs.File
	disk     *Disk
	node     *inode
	kind     Kind
	nameless bool // the next sync is one of the directory too
	told     int  // failures of the inode that it has reported
}

var (
	_ vfs.FileUnwrap             = (*file)(nil)
	_ vfs.FileSharedMemory       = (*file)(nil)
	_ vfs.FileLockState          = (*file)(nil)
	_ vfs.FilePersistWAL         = (*file)(nil)
	_ vfs.FilePowersafeOverwrite = (*file)(nil)
	_ vfs.FileHasMoved           = (*file)(nil)
	_ vfs.FileSizeHint           = (*file)(nil)
)

// ReadAt reads what was written, durable or not.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if f.disk.injured.Load() {
		if err := f.fail(Read); err != nil {
			return 0, err
		}
	}
	return f.File.ReadAt(p, off)
}

// fail counts a call that changes nothing, and returns its error, if any.
func (f *file) fail(call Call) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if r := f.disk.call(f.kind, call, false); r != nil {
		return r.Error.of(call)
	}
	return nil
}

// WriteAt writes, and records it.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	r := f.disk.call(f.kind, Write, off+int64(len(p)) > size)
	if r == nil {
		return f.write(p, off)
	}
	err = r.Error.of(Write)
	if !r.Short {
		return 0, err
	}
	n, werr := f.write(p[:len(p)/2], off)
	if werr != nil {
		return n, errors.Join(err, werr)
	}
	return n, err
}

// write needs the disk's mu.
func (f *file) write(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if n > 0 {
		f.node.add(change{off: off, data: bytes.Clone(p[:n])})
	}
	return n, err
}

// Truncate changes the size, and records it.
func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if r := f.disk.call(f.kind, Resize, false); r != nil {
		return r.Error.of(Resize)
	}
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	f.node.add(change{off: size, resize: true})
	return nil
}

// SizeHint reserves space, which makes a file longer if it makes a difference.
func (f *file) SizeHint(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	old, err := f.Size()
	if err != nil {
		return err
	}
	if size <= old {
		return nil
	}
	if r := f.disk.call(f.kind, Resize, true); r != nil {
		return r.Error.of(Resize)
	}
	if err := vfsutil.WrapSizeHint(f.File, size); err != nil {
		return err
	}
	if size, err = f.Size(); err != nil {
		return err
	}
	if size > old {
		f.node.add(change{off: size, resize: true})
	}
	return nil
}

// Sync makes durable what was written before it began.
func (f *file) Sync(vfs.SyncFlag) error {
	if err, ok := f.disk.sync(f.node, f.kind, &f.told); !ok {
		return err.of(Sync)
	}
	if f.nameless {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		f.disk.names.settle()
		f.nameless = false
	}
	return nil
}

// DeviceCharacteristics promise what nearly all file systems do, and no atomic
// writes.
func (f *file) DeviceCharacteristics() vfs.DeviceCharacteristic {
	return f.File.DeviceCharacteristics() & (vfs.IOCAP_POWERSAFE_OVERWRITE | vfs.IOCAP_SUBPAGE_READ)
}

// What follows is the operating system's.

func (f *file) Unwrap() vfs.File                { return f.File }
func (f *file) SharedMemory() vfs.SharedMemory  { return vfsutil.WrapSharedMemory(f.File) }
func (f *file) LockState() vfs.LockLevel        { return vfsutil.WrapLockState(f.File) }
func (f *file) PersistWAL() bool                { return vfsutil.WrapPersistWAL(f.File) }
func (f *file) SetPersistWAL(keep bool)         { vfsutil.WrapSetPersistWAL(f.File, keep) }
func (f *file) PowersafeOverwrite() bool        { return vfsutil.WrapPowersafeOverwrite(f.File) }
func (f *file) SetPowersafeOverwrite(safe bool) { vfsutil.WrapSetPowersafeOverwrite(f.File, safe) }
func (f *file) HasMoved() (bool, error)         { return vfsutil.WrapHasMoved(f.File) }
