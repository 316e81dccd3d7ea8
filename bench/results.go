package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
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
	return all
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

// A section is one kind of workload in the results.
type section struct {
	Title, Text string
	Tables      []renderedTable
}

type renderedTable struct{ Title, Table string }

// kinds are the sections, in order.
var kinds = []struct {
	kind, title, text string
	columns           []column
}{
	{
		"drain", "Throughput",
		"Messages a second from the first Send until all are handled and acknowledged, one by one, by 10 handlers. *Of the raw channel* is the\n" +
			"share of its throughput in the same shape; *inproq is* says how many times as fast inproq is. One of the\n" +
			"*allocations* of each message is the benchmark's own, its body; the raw channel shares one body.",
		throughput,
	},
	{
		"json", "JSON bodies",
		"A struct of six fields that is encoded and decoded on both sides: by inproq itself, and with encoding/json around the others.",
		throughput,
	},
	{
		"latency", "Latency",
		"From Send to the first line of the handler. One message at a time; the sender waits for it, and at least 200 µs more; for one that polls, at\n" +
			"random up to its interval more. A p99 is of at least 100 messages.",
		[]column{
			{"p50", func(x cell) string { return x.median("p50", duration) }},
			{"min – max", func(x cell) string { return x.spread("p50", duration) }},
			{"p99", func(x cell) string { return x.median("p99", duration) }},
			{"min – max", func(x cell) string { return x.spread("p99", duration) }},
			{"of the raw channel's p50", func(x cell) string { return x.ratio(x.row, x.floor, "p50") }},
			{"messages", func(x cell) string { return x.median("n", wholeNumber) }},
		},
	},
	{
		"delayed", "Delayed messages",
		"An insert while that many messages of 128 bytes are pending, its body made for it, with delays at random from 1 to 2 hours; the memory that a\n" +
			"message takes, body included. A thousand pending ones are so few that the queue's own memory counts. The workqueue takes up\n" +
			"to 1,000 inserts into a channel and works on them later, so its first figure is that of the channel. The others have no\n" +
			"delays, but JetStream, which can schedule messages to the second: that is not measured.",
		[]column{
			{"an insert", func(x cell) string { return x.median("ns", duration) }},
			{"min – max", func(x cell) string { return x.spread("ns", duration) }},
			{"memory", func(x cell) string { return x.median("bytes", bytesText) }},
			{"min – max", func(x cell) string { return x.spread("bytes", bytesText) }},
		},
	},
	{
		"backlog", "Backlog",
		"Messages that wait for a consumer, sent in batches of 100; slow contestants have as many as they take in a few seconds. Memory is for\n" +
			"each message, the body of 128 bytes included: what the process holds of the kernel's (RSS) when garbage is collected and free\n" +
			"memory given back, and what of it is alive on the heap. Then one collection is forced, and then 10 handlers come and work\n" +
			"the backlog off.",
		[]column{
			{"messages", func(x cell) string { return x.median("n", wholeNumber) }},
			{"RSS", func(x cell) string { return x.median("rss", bytesText) }},
			{"min – max", func(x cell) string { return x.spread("rss", bytesText) }},
			{"live heap", func(x cell) string { return x.median("heap", bytesText) }},
			{"min – max", func(x cell) string { return x.spread("heap", bytesText) }},
			{"a collection", func(x cell) string { return x.median("gc", duration) }},
			{"min – max", func(x cell) string { return x.spread("gc", duration) }},
			{"worked off, messages/s", func(x cell) string { return x.rate("drain_ns") }},
			{"min – max", func(x cell) string { return x.rates("drain_ns") }},
		},
	},
}

var throughput = []column{
	{"messages/s", func(x cell) string { return x.rate("ns") }},
	{"min – max", func(x cell) string { return x.rates("ns") }},
	{"a message", func(x cell) string { return x.median("ns", duration) }},
	{"of the raw channel", func(x cell) string { return x.ratio(x.floor, x.row, "ns") }},
	{"inproq is", func(x cell) string { return x.faster("ns") }},
	{"allocations", func(x cell) string { return x.median("allocs", allocations) }},
}

func sections(r page) (all []section) {
	for _, k := range kinds {
		s := section{Title: k.title, Text: k.text}
		for _, t := range r.of(k.kind) {
			s.Tables = append(s.Tables, renderedTable{t.Title, render(t, k.columns)})
		}
		if len(s.Tables) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// render makes a table of a workload, with a row for each contestant that took part.
func render(t Table, columns []column) string {
	table := markdown{head: []string{""}}
	for _, c := range columns {
		table.head = append(table.head, c.head)
	}
	floor, _ := t.row(floorContestant.Name)
	ours, _ := t.row(inproqContestant.Name)
	for _, r := range t.Rows {
		cells := []string{r.Contestant}
		for _, c := range columns {
			cells = append(cells, c.text(cell{r, floor, ours}))
		}
		switch {
		case r.Error != "" && len(r.Stats) > 0:
			cells[0] = r.Contestant + " (failed: " + r.Error + ")"
		case r.Error != "":
			cells = []string{r.Contestant, "failed: " + r.Error}
		}
		table.add(cells...)
	}
	return table.String()
}

// A markdown table aligns figures to the right, words to the left.
type markdown struct {
	left bool
	head []string
	rows [][]string
}

func (t *markdown) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *markdown) String() string {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteByte('|')
		for i := range t.head {
			text := ""
			if i < len(cells) {
				text = strings.NewReplacer("|", `\|`, "\n", " ").Replace(cells[i])
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteByte('\n')
	}
	line(t.head)
	rule := "|--:"
	if t.left {
		rule = "|---"
	}
	b.WriteString("|---" + strings.Repeat(rule, len(t.head)-1) + "|\n")
	for _, r := range t.rows {
		line(r)
	}
	return b.String()
}
