package faulttest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Image is what a crash has left: the content of each file, by its path. Shared
// memory is not among it.
type Image map[string][]byte

// Crash returns what would be left if the power went off now. The seed decides what
// survives of what is pending. It is one moment for all files: every sync that
// returned before the call counts, and no change that began after its return.
func (d *Disk) Crash(seed uint64) Image {
	chance := newChance(seed)
	d.mu.Lock()
	files := d.freeze(chance.Float64())
	d.mu.Unlock()
	return develop(files, chance)
}

// develop makes an image of copied files.
func develop(files []naming, chance *rand.Rand) Image {
	img := Image{}
	for _, f := range files {
		img[f.name] = survive(f.node.durable, f.node.pending, chance)
	}
	return img
}

// CrashAfter is Crash right before the disk does anything for the calls-th time from
// now, other than reading: so crashes hit the moments between two writes evenly. The
// channel gets the image. In that moment, while the disk stands still for everybody,
// moment is called; it must not use the disk.
func (d *Disk) CrashAfter(calls int, seed uint64, moment func()) <-chan Image {
	images := make(chan Image, 1)
	chance := newChance(seed)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crash = &crash{left: calls, happen: func() {
		moment()
		images <- develop(d.freeze(chance.Float64()), chance)
	}}
	return images
}

// crash is one that will happen.
type crash struct {
	left   int // calls until then
	happen func()
}

// step comes before each call that is not a read. The disk's mu is held.
func (d *Disk) step() {
	if d.crash == nil {
		return
	}
	if d.crash.left--; d.crash.left <= 0 {
		c := d.crash
		d.crash = nil
		c.happen()
	}
}

// freeze copies the files that have a durable name, and with it the given part of
// the pending ones. The disk's mu is held.
func (d *Disk) freeze(part float64) []naming {
	count := int(part * float64(len(d.names.pending)+1))
	var files []naming
	for name, node := range d.names.after(count) {
		files = append(files, naming{name, node.copy()})
	}
	// So that the seed decides alone.
	slices.SortFunc(files, func(a, b naming) int { return cmp.Compare(a.name, b.name) })
	return files
}

// WriteTo writes the files to a directory, each under its base name.
func (img Image) WriteTo(dir string) error {
	for path, content := range img {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), content, 0o600); err != nil {
			return fmt.Errorf("faulttest: writing a crash image: %w", err)
		}
	}
	return nil
}
