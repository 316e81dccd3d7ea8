//go:build !linux

package sqlite

import "os"

// dataSync returns when the disk has what was written to a file.
func dataSync(f *os.File) error { return f.Sync() }
