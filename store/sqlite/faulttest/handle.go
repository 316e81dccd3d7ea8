package faulttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/inproq/inproq/store/sqlite"
)

// Handle is one that a program has of a file of its database, and SQLite knows nothing of. Only
// one goroutine at a time may use it.
type Handle struct {
	disk   *Disk
	path   string
	node   *inode // nil: not used yet
	told   int
	closed bool
}

var _ sqlite.Log = (*Handle)(nil)

// Handle returns a handle of the file at path, which is opened when it is first used.
// The file must have been opened by a connection before that. The path is as SQLite
// knows it, without links.
func (d *Disk) Handle(path string) *Handle { return &Handle{disk: d, path: path} }

// Sync syncs the file, and never the directory.
func (h *Handle) Sync() error {
	h.disk.mu.Lock()
	err := h.find()
	h.disk.mu.Unlock()
	if err != nil {
		return err
	}
	if err, ok := h.disk.sync(h.node, kindOf(h.path), &h.told); !ok {
		return fmt.Errorf("faulttest: syncing: %w", err.errno())
	}
	return nil
}

// Rewrite writes what can be read of the file to the file, after which a sync has it on the
// disk whatever an earlier one has failed to write.
func (h *Handle) Rewrite() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.find(); err != nil {
		return err
	}
	if r := h.disk.call(kindOf(h.path), Read, false); r != nil {
		return fmt.Errorf("faulttest: reading: %w", r.Error.errno())
	}
	content, err := os.ReadFile(h.path)
	if err != nil {
		return fmt.Errorf("faulttest: reading: %w", err)
	}
	if len(content) == 0 {
		return nil
	}
	r := h.disk.call(kindOf(h.path), Write, false)
	if r != nil && r.Short {
		content = content[:len(content)/2]
	}
	if r == nil || r.Short {
		h.node.add(change{data: content})
	}
	if r != nil {
		return fmt.Errorf("faulttest: writing: %w", r.Error.errno())
	}
	return nil
}

// Close makes the handle useless. The file is closed by it even if it does not exist any more.
func (h *Handle) Close() error {
	if h.closed {
		return h.unusable("close", fs.ErrClosed)
	}
	h.closed = true
	return nil
}

// find opens the file, or checks that it is still what was opened: who goes on with a
// file that has lost its name is wrong about it. The disk's mu is held.
func (h *Handle) find() error {
	node := h.disk.names.live[h.path]
	switch {
	case h.closed:
		return h.unusable("use", fs.ErrClosed)
	case node == nil:
		return h.unusable("open", fs.ErrNotExist)
	case h.node == nil:
		h.node, h.told = node, node.failures
	case h.node != node:
		return h.unusable("use", errors.New("another file has its name"))
	}
	return nil
}

func (h *Handle) unusable(op string, err error) error {
	return &fs.PathError{Op: op, Path: h.path, Err: err}
}
