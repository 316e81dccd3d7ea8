package sqlite

import (
	"os"

	"golang.org/x/sys/unix"
)

// dataSync returns when the disk has what was written to a file, and what it takes to read
// it. Unlike Sync it does not wait for the time of the last change to be written.
func dataSync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}
