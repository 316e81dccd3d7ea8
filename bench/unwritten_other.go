//go:build !linux

package main

import "errors"

// unwritten would count the pages of files in a directory that are not on the disk.
func unwritten(string) (int, error) { return 0, errors.ErrUnsupported }
