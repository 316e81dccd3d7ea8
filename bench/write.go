package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	resultsFile = "RESULTS.md"
	chartFile   = "throughput.svg"
)

// directory is where results go. Those that are not whole do not replace others,
// unless that is asked for.
func directory(asked string, partial bool) (string, error) {
	switch {
	case asked != "":
		return asked, os.MkdirAll(asked, 0o755)
	case partial:
		return os.MkdirTemp("", "inproq-bench-")
	}
	return ".", nil
}

// salvage writes what a run has found that has ended early, to a directory where it
// replaces nothing.
func salvage(r Report, why error) error {
	if len(r.Tables) == 0 {
		return nil
	}
	dir, err := directory("", true)
	if err != nil {
		return err
	}
	r.Broken = why.Error()
	return write(dir, r)
}

// write writes the results, says where, and reports contestants that have failed.
func write(dir string, r Report) error {
	files := map[string]string{resultsFile: results(r)}
	if svg, ok := chart(r); ok {
		files[chartFile] = svg
	}
	if err := replace(dir, files); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stderr, filepath.Join(dir, resultsFile))
	var failed []error
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			if row.Error != "" {
				failed = append(failed, fmt.Errorf("%s/%s: %s", t.ID, row.Contestant, row.Error))
			}
		}
	}
	return errors.Join(failed...)
}

// replace writes files, by name, beside those that they replace, and renames them when
// all are written: a full disk leaves the old ones.
func replace(dir string, files map[string]string) error {
	written := map[string]string{} // final names, by temporary ones
	defer func() {
		for name := range written {
			_ = os.Remove(name) // what was renamed is not there
		}
	}()
	for name, text := range files {
		f, err := os.CreateTemp(dir, "."+name+"-")
		if err != nil {
			return err
		}
		written[f.Name()] = filepath.Join(dir, name)
		_, err = f.WriteString(text)
		if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
			return err
		}
	}
	for from, to := range written {
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	return nil
}
