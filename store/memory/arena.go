package memory

import (
	"sync"

	"github.com/inproq/inproq/internal/invariant"
)

// Frames up to smallFrame bytes share blocks, which grow from firstBlock to
// lastBlock bytes as a writer fills them, so that a queue with ten messages
// does not hold 64 KiB. A larger frame has a block of its own.
const (
	smallFrame = 4 << 10
	firstBlock = 4 << 10
	lastBlock  = 64 << 10
)

// A ref says where a frame is, without a pointer.
type ref struct {
	block, n uint32
	off      uint16
}

// An arena owns the blocks of one queue. Blocks are never written again and
// never recycled: what was delivered shares their memory, and the collector
// keeps it for as long as a handler does. The arena forgets a block when the
// last message in it is gone.
//
// Lock order: a queue's mu, a shard's mu, an arena's mu.
type arena struct {
	mu     sync.Mutex
	blocks []block
	unused []uint32 // indexes of blocks without a buf
}

type block struct {
	buf  []byte
	live int32 // frames alive, less those of an open writer
	open bool  // a writer may still append
}

// put stores b whole, as a block of its own that holds one frame.
func (a *arena) put(b []byte) ref {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.add(block{buf: b, live: 1})
	return ref{block: i, n: uint32(len(b))}
}

func (a *arena) add(b block) uint32 {
	if n := len(a.unused); n > 0 {
		i := a.unused[n-1]
		a.unused = a.unused[:n-1]
		a.blocks[i] = b
		return i
	}
	a.blocks = append(a.blocks, b)
	return uint32(len(a.blocks) - 1)
}

// in returns the bytes of r, which are in that block.
func (r ref) in(block []byte) []byte {
	off, end := uint32(r.off), uint32(r.off)+r.n
	return block[off:end:end]
}

// block returns the memory of a block.
func (a *arena) block(i uint32) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.blocks[i].buf
}

// frame returns the bytes of r.
func (a *arena) frame(r ref) []byte {
	if r.n == 0 {
		return nil // an empty frame has no block
	}
	return r.in(a.block(r.block))
}

// drop forgets n frames of a block. The caller holds mu.
func (a *arena) drop(i uint32, n int32) {
	b := &a.blocks[i]
	b.live -= n
	invariant.Check(b.open || b.live >= 0, "block %d has %d live frames", i, b.live)
	if b.live == 0 && !b.open {
		*b = block{}
		a.unused = append(a.unused, i)
	}
}

// A writer appends small frames to an open block. Its owner serialises it.
type writer struct {
	block uint32
	n     int32  // frames in the open block
	buf   []byte // the open block; nil before the first
	size  int    // of the next block
}

// write stores a frame.
func (w *writer) write(a *arena, f *frame) ref {
	if f.flags == 0 {
		return w.writeBody(a, f.body)
	}
	n := f.size()
	if n > smallFrame {
		return a.put(f.appendTo(make([]byte, 0, n)))
	}
	r := w.room(a, n)
	w.buf = f.appendTo(w.buf)
	return r
}

// writeBody stores the frame of an ordinary message, which is its body.
func (w *writer) writeBody(a *arena, body []byte) ref {
	switch n := len(body); {
	case n == 0:
		return ref{}
	case n > smallFrame:
		return a.put(append(make([]byte, 0, n), body...))
	}
	r := w.room(a, len(body))
	w.buf = append(w.buf, body...)
	return r
}

// room returns where the n bytes will be that the caller appends next.
func (w *writer) room(a *arena, n int) ref {
	if cap(w.buf)-len(w.buf) < n {
		w.turn(a)
	}
	w.n++
	return ref{block: w.block, off: uint16(len(w.buf)), n: uint32(n)}
}

// turn closes the open block and opens the next.
func (w *writer) turn(a *arena) {
	w.size = min(max(2*w.size, firstBlock), lastBlock)
	buf := make([]byte, 0, w.size)
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.buf != nil {
		a.blocks[w.block].open = false
		a.drop(w.block, -w.n) // from now on its frames count
	}
	w.block, w.n, w.buf = a.add(block{buf: buf[:w.size], open: true}), 0, buf
}

// clear forgets all blocks.
func (a *arena) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blocks, a.unused = nil, nil
}

// A dropper gathers the frames that one locked section lets go, and settles
// them with the arena a run at a time: the messages of a batch mostly lie in
// one block.
type dropper struct {
	arena *arena
	block uint32
	n     int32
}

func (d *dropper) drop(r ref) {
	if r.n == 0 {
		return
	}
	if r.block != d.block {
		d.flush()
		d.block = r.block
	}
	d.n++
}

func (d *dropper) flush() {
	if d.n == 0 {
		return
	}
	d.arena.mu.Lock()
	d.arena.drop(d.block, d.n)
	d.arena.mu.Unlock()
	d.n = 0
}
