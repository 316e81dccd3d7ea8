// Package faulttest keeps a SQLite database on a disk that loses power, fills up
// and fails, and so shows what a store on SQLite survives.
//
// # The disk
//
// A [Disk] is a virtual file system of SQLite's. Files are real files of the
// operating system's, so that locks and shared memory are real too; beside them the
// disk remembers what would be left of each if the power went off now. A write is
// durable when a sync of its file that began after it has returned. Before that it
// is pending, and so is a change of a file's size. Names are durable when their
// directory was synced, which SQLite does with the first sync of a log or journal and
// with some deletions.
//
// # Losing power
//
// [Disk.Crash] returns an [Image]: for every file what is durable, and of what is
// pending a random part. A pending write is there whole, torn at the boundaries of
// sectors, or not at all, each independent of the others, as disks and file systems
// write in any order. Names come and go in order, as with a journal of metadata.
// The disk goes on meanwhile: an image can be taken of a database in full use.
//
// # Faults
//
// [Disk.Inject] makes calls fail, by the kind of file and call, from the n-th on,
// until lifted. After a sync that failed, a random part of what was pending is
// durable and the rest never will be, though it can still be read: operating systems
// forget what they could not write, and a later sync that succeeds says nothing about it.
// As on Linux, each handle that was open then reports the failure once.
//
// # Costs
//
// Durable content is kept in memory, and a write copied twice. Nothing is really
// synced: the process does not crash.
package faulttest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"
)

// Disk is where databases are kept. Make one with NewDisk. Its methods are safe for
// concurrent use.
type Disk struct {
	name    string
	system  vfs.VFS // the operating system's
	latency time.Duration

	// mu makes each change of a file one with its record, and a crash one moment
	// for all files. It is held while the operating system writes.
	mu      sync.Mutex
	names   directory
	faults  []*Fault
	crash   *crash // that will happen, or nil
	counts  map[use]int
	chance  *rand.Rand
	injured atomic.Bool // there are faults: spares reads the lock
}

// use is one sort of call to one kind of file.
type use struct {
	file Kind
	call Call
}

// disks numbers them: the names of virtual file systems are global in a process.
var disks atomic.Int64

// NewDisk returns an empty disk. Every sync takes latency, which is where a crash
// finds pending writes, as on real disks. The seed decides what failed syncs leave
// behind.
func NewDisk(seed uint64, latency time.Duration) *Disk {
	d := &Disk{
		name:    fmt.Sprintf("faulttest-%d", disks.Add(1)),
		system:  vfs.Find("os"),
		latency: latency,
		names:   newDirectory(),
		counts:  map[use]int{},
		chance:  newChance(seed),
	}
	vfs.Register(d.name, filesystem{d})
	return d
}

// Close takes the disk out of the process. Databases on it must be closed before.
func (d *Disk) Close() { vfs.Unregister(d.name) }

// Count returns how often call was made to files of kind, failures included.
func (d *Disk) Count(file Kind, call Call) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := 0
	for u, n := range d.counts {
		if u.file&file != 0 && u.call&call != 0 {
			total += n
		}
	}
	return total
}

// Pending returns the number of changes to files of kind that a crash could undo.
func (d *Disk) Pending(file Kind) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := 0
	for name, node := range d.names.live {
		if kindOf(name)&file != 0 {
			total += len(node.pending)
		}
	}
	return total
}

func newChance(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
