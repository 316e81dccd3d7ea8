//go:build !linux

package main

import "os"

// flush makes what was written to a file outlive a loss of power.
func flush(f *os.File) error { return f.Sync() }
