package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Plan says what to measure.
type Plan struct {
	Effort Effort
	Count  int            // repetitions
	Only   *regexp.Regexp // of "workload/contestant"; nil: all
	Guard  guard
	// Measure does one task.
	Measure func(task) (measurement, error)
	// Log is told of each measurement.
	Log io.Writer
}

// Run measures. In each repetition of a workload all contestants take their turn,
// another one first each time: what changes in the machine meanwhile concerns all.
//
// A contestant that fails has an error in its row, beside what it has done until then, and
// the others go on; a machine that is busy ends the run, with the tables that are
// complete.
func (p Plan) Run() (tables []Table, foreign Stat, err error) {
	var shares []float64
	for _, w := range Workloads(p.Effort) {
		all := p.entrants(w)
		if len(all) == 0 {
			continue
		}
		samples, failed := map[string][]Sample{}, map[string]error{}
		for turn := range p.Count {
			if err := p.Guard.await(); err != nil {
				return tables, stat(shares), err
			}
			for i := range all {
				name := all[(turn+i)%len(all)].Name
				if failed[name] != nil {
					continue
				}
				m, busy, err := p.measure(task{w.ID(), name, p.Effort})
				if busy != nil {
					return tables, stat(shares), busy
				}
				p.log("%s/%s %d of %d: %v", w.ID(), name, turn+1, p.Count, outcome(w.Kind, m.sample, err))
				if err != nil {
					failed[name] = fmt.Errorf("repetition %d of %d: %w", turn+1, p.Count, err)
					continue
				}
				samples[name] = append(samples[name], m.sample)
				if m.foreign >= 0 {
					shares = append(shares, m.foreign)
				}
			}
		}
		t := Table{Kind: w.Kind, Title: w.Title, ID: w.ID()}
		for _, c := range all {
			row := Row{Contestant: c.Name}
			if len(samples[c.Name]) > 0 {
				row.Stats = summary(samples[c.Name])
			}
			if err := failed[c.Name]; err != nil {
				row.Error = err.Error()
			}
			t.Rows = append(t.Rows, row)
		}
		tables = append(tables, t)
	}
	return tables, stat(shares), nil
}

// entrants are those who take part in a workload and are wanted.
func (p Plan) entrants(w Workload) []Contestant {
	return slices.DeleteFunc(slices.Clone(Contestants), func(c Contestant) bool {
		return !w.Takes(c) || p.Only != nil && !p.Only.MatchString(w.ID()+"/"+c.Name)
	})
}

// tasks is how many measurements there are.
func (p Plan) tasks() (n int) {
	for _, w := range Workloads(p.Effort) {
		n += p.Count * len(p.entrants(w))
	}
	return n
}

// estimate is about how long a run takes, for whoever waits.
func (p Plan) estimate() (d time.Duration) {
	for _, w := range Workloads(p.Effort) {
		counted := p.Effort.Time
		if w.Durable {
			counted = p.Effort.durable(shape{1, 1, 128}).Time
		}
		d += time.Duration(p.Count*len(p.entrants(w))) * (3*counted/2 + 300*time.Millisecond)
	}
	return d
}

// tries is how often a measurement is made that others have disturbed.
const tries = 3

// measure does a task when nothing else happens, again if something did. The
// second error says that something always does.
func (p Plan) measure(t task) (m measurement, busy, err error) {
	for range tries {
		m, err = p.Measure(t)
		if err != nil || p.Guard.off || m.foreign <= mostForeign {
			return m, nil, err
		}
		p.log("%s/%s: others used %.0f%% of the processors, once more", t.Workload, t.Contestant, 100*m.foreign)
		if busy := p.Guard.await(); busy != nil {
			return m, busy, nil
		}
	}
	return m, fmt.Errorf("%w: in %d tries of %s/%s others used more than %.0f%% of the processors; -force measures all the same",
		errBusy, tries, t.Workload, t.Contestant, 100*mostForeign), nil
}

func (p Plan) log(format string, args ...any) {
	_, _ = fmt.Fprintf(p.Log, format+"\n", args...)
}

// outcome is a measurement in a few words.
func outcome(kind string, s Sample, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case strings.HasSuffix(kind, "latency"):
		return fmt.Sprintf("p50 %v", time.Duration(s["p50"]))
	case kind == "backlog":
		return fmt.Sprintf("%.0f bytes a message", s["rss"])
	}
	return fmt.Sprintf("%.3g ns a message", s["ns"])
}
