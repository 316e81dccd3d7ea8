package faulttest

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// sector is what a disk writes whole.
const sector = 512

// inode is a file apart from its name, as the disk knows it.
type inode struct {
	durable []byte   // what is left in any case
	pending []change // made since, in order
	settled uint64   // changes that are not pending any more

	failures int // syncs that have failed
}

// change is a write, or a new size.
type change struct {
	off    int64
	data   []byte
	resize bool // to off
}

// end is the least size that a file has after the write.
func (c change) end() int64 { return c.off + int64(len(c.data)) }

// apply returns content, changed in place where that is possible.
func (c change) apply(content []byte) []byte {
	if c.resize {
		return resized(content, c.off)
	}
	if int64(len(content)) < c.end() {
		content = resized(content, c.end())
	}
	copy(content[c.off:], c.data)
	return content
}

// sectors splits a write where the disk may tear it.
func (c change) sectors() []change {
	var parts []change
	for off, data := c.off, c.data; len(data) > 0; {
		n := min(sector-off%sector, int64(len(data)))
		parts = append(parts, change{off: off, data: data[:n]})
		off, data = off+n, data[n:]
	}
	return parts
}

// resized cuts content or fills it up with zeros.
func resized(content []byte, size int64) []byte {
	old := int64(len(content))
	if size <= old {
		return content[:size]
	}
	content = slices.Grow(content, int(size-old))[:size]
	clear(content[old:]) // it may have been longer once
	return content
}

// add records a change.
func (n *inode) add(c change) { n.pending = append(n.pending, c) }

// last numbers the newest change.
func (n *inode) last() uint64 { return n.settled + uint64(len(n.pending)) }

// settle makes all changes up to last durable. Those that came while the disk was
// busy with the sync stay pending.
func (n *inode) settle(last uint64) {
	for _, c := range n.retire(last) {
		n.durable = c.apply(n.durable)
	}
}

// forget is what a failed sync does to all changes up to last.
func (n *inode) forget(last uint64, chance *rand.Rand) {
	n.durable = survive(n.durable, n.retire(last), chance)
}

// retire takes the changes up to last from the pending ones. Another sync may have
// been there before.
func (n *inode) retire(last uint64) []change {
	if last <= n.settled {
		return nil
	}
	taken := n.pending[:last-n.settled]
	// Cloned, so that the old array does not keep the data alive.
	n.pending = slices.Clone(n.pending[len(taken):])
	n.settled = last
	return taken
}

// copy returns an inode that later changes leave alone. The data of changes never
// changes.
func (n *inode) copy() *inode {
	return &inode{durable: bytes.Clone(n.durable), pending: slices.Clone(n.pending)}
}
