package main

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// footprint is what the process holds: live heap after a collection, and the pages that
// it has from the kernel.
type footprint struct {
	heap, rss int64
	hasRSS    bool
}

// look gives the kernel back what is free before it looks.
func look() (f footprint) {
	f.heap = liveHeap()
	debug.FreeOSMemory()
	f.rss, f.hasRSS = rss()
	return f
}

// liveHeap is the heap, in bytes, that is left when garbage is collected.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // also what pools and finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// rss is the resident memory in bytes, where the kernel tells (Linux).
func rss() (int64, bool) {
	kib, ok := procNumber("/proc/self/status", "VmRSS:")
	return kib << 10, ok
}

// procNumber returns the first number of a line in a file below /proc.
func procNumber(file, key string) (int64, bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), key); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				n, err := strconv.ParseInt(fields[0], 10, 64)
				return n, err == nil
			}
		}
	}
	return 0, false
}
