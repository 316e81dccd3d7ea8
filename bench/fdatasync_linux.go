package main

import (
	"os"
	"syscall"
)

// flush makes what was written to a file outlive a loss of power. It spares the journal
// of the file system where the file has not grown.
func flush(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
