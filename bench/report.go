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
	Foreign     Stat   // shares of the processors that others used
	Tables      []Table
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
	Error      string // nothing was found
}

// row returns the row of a contestant that has one with figures.
func (t Table) row(contestant string) (Row, bool) {
	for _, r := range t.Rows {
		if r.Contestant == contestant && r.Error == "" {
			return r, true
		}
	}
	return Row{}, false
}
