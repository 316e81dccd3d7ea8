package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed results.md.tmpl
var resultsTemplate string

// results renders a report as Markdown.
func results(r Report) string {
	t := template.Must(template.New(resultsFile).Funcs(template.FuncMap{
		"warnings": warnings,
		"commit":   commitText,
		"minutes":  minutes,
		"others":   othersText,
		"sections": sections,
		"promises": promises,
		"durable":  durabilityText,
		"longer":   func(e Effort) time.Duration { return e.durable(shape{1, 1, 128}).Time },
		"version":  func(r page, c Contestant) string { return versionText(r.Report, c) },
		"mib":      func(bytes int) string { return fmt.Sprintf("%d MiB", bytes>>20) },
		"percent":  percent,

		"thousands": thousands,
	}).Parse(resultsTemplate))
	var text strings.Builder
	_, pictured := chart(r)
	if err := t.Execute(&text, page{r, pictured, mostForeign, leastScaling}); err != nil {
		panic(err) // the template is ours
	}
	return text.String()
}

// A page is what the template sees.
type page struct {
	Report
	Pictured                  bool // there is a chart
	MostForeign, LeastScaling float64
}

// of returns the tables of one kind.
func (r Report) of(kind string) []Table {
	return slices.DeleteFunc(slices.Clone(r.Tables), func(t Table) bool { return t.Kind != kind })
}

// warnings say why figures are not what they seem.
func warnings(r page) (all []string) {
	if r.Quick {
		all = append(all, "This is a trial (-quick) with a few messages. It is no measurement, and its figures mean nothing.")
	}
	if r.Forced {
		all = append(all, "Measured with -force: nobody looked whether the machine was busy.")
	}
	if r.Broken != "" {
		all = append(all, "The run has ended early: "+r.Broken+".")
	}
	if r.Only != "" {
		all = append(all, fmt.Sprintf("Only a part was measured: -run %q.", r.Only))
	}
	if inMemory(r.Machine.Files) && durabilityText(r) != "" {
		all = append(all, "The files were on "+r.Machine.Files+", which is memory: the durable contestants were not durable, and their figures mean nothing.")
	}
	return all
}

// durabilityText says what was found out about each durable contestant; "" where none was
// measured.
func durabilityText(r page) string {
	var all []string
	for _, c := range r.Contestants {
		for _, t := range r.Tables {
			row, ok := t.row(c.Name)
			if !ok || !c.Durable {
				continue
			}
			said := "unknown: only Linux tells, from 6.5"
			if _, ok := row.Stats["unwritten"]; ok {
				said = "all on the disk"
			}
			if s, ok := row.Stats["synchronous"]; ok {
				said += fmt.Sprintf(", journal_mode wal, synchronous %.0f", s.Min)
			}
			all = append(all, c.Name+": "+said)
			break
		}
	}
	return strings.Join(all, "; ")
}

func commitText(c Commit) string {
	switch {
	case c.Hash == "":
		return "unknown"
	case c.Dirty:
		return c.Hash + " with uncommitted changes"
	}
	return c.Hash
}

func othersText(r page) string {
	if r.Foreign.Count == 0 {
		return "unknown: only Linux tells"
	}
	return fmt.Sprintf("used %s of the processors (median; at most %s)", percent(r.Foreign.Median), percent(r.Foreign.Max))
}

func versionText(r Report, c Contestant) string {
	var all []string
	for _, path := range c.Modules {
		if v := r.Versions[path]; v != "" {
			all = append(all, "`"+path+"` "+v)
		}
	}
	return strings.Join(all, ", ")
}

// promises is a table of what contestants do for their price.
func promises(r page) string {
	t := markdown{left: true, head: []string{"", "message ids", "acknowledgements", "retries", "delays", "dead letters", "order", "survives"}}
	for _, c := range r.Contestants {
		p := c.Promises
		t.add(c.Name, p.IDs, p.Acks, p.Retries, p.Delays, p.DeadLetters, p.Order, p.Survives)
	}
	return t.String()
}
