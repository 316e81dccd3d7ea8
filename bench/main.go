// Bench measures inproq side by side with what one would use instead, on this machine,
// and writes RESULTS.md and throughput.svg:
//
//	cd bench && go run .          # all, about ten minutes; or make bench
//	cd bench && go run . -quick   # whether it works, seconds; no measurement
//	cd bench && go run . -run 'drain/producers=16.*/(inproq|raw channel)'
//
// It refuses to measure while others use the machine. Every measurement is a process of
// its own, contestants take turns, and each figure is the median of -count repetitions with its
// spread.
//
// # Adding a contestant
//
// Write one file with a [Contestant] and its [Queue], and add it to [Contestants].
// Hold it as its own documentation recommends for throughput, and say in How what
// that is. TestContestants checks that it delivers every message once and as sent. A
// workload is a [Workload] in the list of [Workloads]; one of a new Kind also needs
// columns in results.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

func main() {
	run := parent
	if len(os.Args) == 2 && os.Args[1] == measureCommand {
		run = func() error { return child(os.Stdin, os.Stdout) }
	}
	if err := run(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parent() error {
	count := flag.Int("count", 0, "`repetitions` of each measurement (default 5, with -quick 1)")
	quick := flag.Bool("quick", false, "try everything with few messages: no measurement")
	only := flag.String("run", "", "measure only what matches this `regexp` of workload/contestant")
	out := flag.String("o", "", "write RESULTS.md and throughput.svg into this `directory` (default: here; with -quick or -run a new temporary one)")
	force := flag.Bool("force", false, "measure also when the machine is busy; the results say so")
	flag.Parse()

	plan := Plan{
		Effort: fullEffort, Count: *count, Measure: measureInChild, Log: os.Stderr,
		Guard: guard{off: *force || *quick, patience: 3 * time.Minute, look: 500 * time.Millisecond, read: readCPU, scale: scaling},
	}
	if *quick {
		plan.Effort = quickEffort
	}
	if *count == 0 {
		plan.Count = 5
		if *quick {
			plan.Count = 1
		}
	}
	var err error
	if *only != "" {
		if plan.Only, err = regexp.Compile(*only); err != nil {
			return fmt.Errorf("-run: %w", err)
		}
	}
	if flag.NArg() > 0 || plan.Count < 1 || plan.tasks() == 0 {
		return errors.New("nothing to measure: see -help")
	}
	dir, err := directory(*out, *quick || *only != "")
	if err != nil {
		return err
	}

	r := Report{
		Date: time.Now(), Machine: thisMachine(), Versions: versions(), Contestants: Contestants,
		Commit: thisCommit(),
		Effort: plan.Effort, Count: plan.Count, Quick: *quick, Forced: *force, Only: *only,
	}
	_, _ = fmt.Fprintf(os.Stderr, "%d measurements, about %v\n", plan.tasks(), estimate(plan.tasks(), plan.Effort).Round(time.Second))
	if r.Tables, r.Foreign, err = plan.Run(); err != nil {
		return err
	}
	r.Took = time.Since(r.Date)
	return write(dir, r)
}

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

// write writes the results, and reports contestants that have failed.
func write(dir string, r Report) error {
	if err := os.WriteFile(filepath.Join(dir, resultsFile), []byte(results(r)), 0o644); err != nil {
		return err
	}
	if svg, ok := chart(r); ok {
		if err := os.WriteFile(filepath.Join(dir, chartFile), []byte(svg), 0o644); err != nil {
			return err
		}
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
