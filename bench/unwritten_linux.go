package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// unwritten counts the pages of files in a directory that are in memory and not on the
// disk. The kernel tells since version 6.5; before, the error is an
// errors.ErrUnsupported.
func unwritten(dir string) (pages int, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		// What ends in -shm is SQLite's index of its log, made anew after a crash.
		if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(path, "-shm") {
			return err
		}
		n, err := unwrittenOf(path)
		pages += n
		return err
	})
	return pages, err
}

func unwrittenOf(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was for reading
	var all unix.CachestatRange
	var found unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &all, &found, 0); err != nil {
		return 0, os.NewSyscallError("cachestat", err)
	}
	return int(found.Dirty + found.Writeback), nil
}
