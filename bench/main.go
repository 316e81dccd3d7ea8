// Bench measures inproq side by side with what one would use instead, on this machine,
// and writes RESULTS.md and throughput.svg:
//
//	cd bench && go run .          # all, about a quarter of an hour; or make bench
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
// that is. TestContestants checks that it delivers every message once and as sent. One that
// keeps messages on the disk is Durable, and lets its connections be asked whether they
// are (witness.go). A workload is a [Workload] in the list of [Workloads]; one of a new
// Kind also needs columns in sections.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
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
	out := flag.String("o", "", "write RESULTS.md and throughput.svg into this `directory` (default: here; with -quick, -run, -force or a -count below 5 a new temporary one)")
	force := flag.Bool("force", false, "measure also when the machine is busy; the results say so")
	flag.Parse()

	plan := Plan{
		Effort: fullEffort, Count: *count, Measure: measureInChild, Log: os.Stderr,
		Guard: guard{off: *force || *quick, patience: 3 * time.Minute, look: 500 * time.Millisecond, read: readCPU},
	}
	machine := thisMachine()
	if machine.Virtual {
		plan.Guard.scale = scaling
	}
	if *quick {
		plan.Effort = quickEffort
	}
	if *count == 0 {
		plan.Count = wholeCount
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
	r := Report{
		Date: time.Now(), Machine: machine, Versions: versions(), Contestants: Contestants,
		Commit: thisCommit(),
		Effort: plan.Effort, Count: plan.Count, Quick: *quick, Forced: *force, Only: *only,
	}
	dir, err := directory(*out, r.partial())
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(os.Stderr, "%d measurements, about %v\n", plan.tasks(), plan.estimate().Round(time.Second))
	r.Tables, r.Foreign, err = plan.Run()
	r.Took = time.Since(r.Date)
	if err != nil {
		return errors.Join(err, salvage(r, err))
	}
	return write(dir, r)
}
