package main

import "time"

// A Report is all that the results tell.
type Report struct {
	Date        time.Time
	Took        time.Duration
	Machine     Machine
	Commit      Commit
	Versions    map[string]string // of modules, by path
	Contestants []Contestant
	Effort      Effort
	Count       int    // repetitions
	Quick       bool   // no measurement
	Forced      bool   // nobody looked whether the machine was busy
	Only        string // -run
	Broken      string // why the run has ended early
	Foreign     Stat   // shares of the processors that others used
	Tables      []Table
}

// wholeCount is how many repetitions make whole results.
const wholeCount = 5

// partial tells whether the results are not worth keeping in place of whole ones.
func (r Report) partial() bool {
	return r.Quick || r.Forced || r.Only != "" || r.Broken != "" || r.Count < wholeCount
}

// A Table is what one workload found.
type Table struct {
	Kind, Title, ID string
	Rows            []Row
}

// A Row is what it found of one contestant.
type Row struct {
	Contestant string
	Stats      map[string]Stat
	Error      string // it has failed, perhaps after it had some
}

// row returns the row of a contestant that has one with figures.
func (t Table) row(contestant string) (Row, bool) {
	for _, r := range t.Rows {
		if r.Contestant == contestant && len(r.Stats) > 0 {
			return r, true
		}
	}
	return Row{}, false
}
