package main

import (
	_ "embed"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"text/template"
)

//go:embed chart.svg.tmpl
var chartTemplate string

// The measures of the chart, in pixels.
const (
	chartWidth = 760
	plotLeft   = 180
	plotRight  = 650
	plotTop    = 60
	rowHeight  = 34
)

// The workloads of the chart.
const (
	chartSingle = "drain/producers=16/batch=1/body=128"
	chartBatch  = "drain/producers=16/batch=100/body=128"
)

// drawing is what the template sees.
type drawing struct {
	Title, Subtitle, Note string
	Width, Height         int
	Top, Bottom, Axis     int // of the grid, and of what is written below
	Values                int // right edge of the figures
	Legend, LegendText    int
	NoteText              int
	Ticks                 []tick
	Rows                  []chartRow
}

type tick struct {
	X     coordinate
	Label string
}

type chartRow struct {
	Name, Value, Class string
	Text               int // baseline
	Marks              []mark
}

// A mark is a median, as a dot, and its spread, as a line.
type mark struct {
	Shape, Class string
	X, Min, Max  coordinate
	Y            int
}

type coordinate float64

func (c coordinate) String() string { return strconv.FormatFloat(float64(c), 'f', 1, 64) }

// chart draws messages a second of the drain with 16 producers and bodies of 128
// bytes; false if that was not measured.
//
// The axis is logarithmic, since contestants differ by a factor of a thousand, and so
// there are dots and no bars: the length of a bar would mean nothing there.
func chart(r Report) (string, bool) {
	single, ok := r.table(chartSingle)
	if !ok {
		return "", false
	}
	batch, _ := r.table(chartBatch)
	low, high := extent(single, batch)
	if low == 0 {
		return "", false // all have failed
	}
	scale := logScale(low, high)
	bottom := plotTop + rowHeight*len(single.Rows)
	d := drawing{
		Title:    "Messages per second through a queue in memory",
		Subtitle: "16 producers, 10 handlers, 128-byte bodies; logarithmic scale; lines: smallest to largest of " + strconv.Itoa(r.Count),
		Note:     fmt.Sprintf("%s, %d processors, %s", r.Machine.CPU, r.Machine.Procs, r.Machine.Go),
		Width:    chartWidth, Height: bottom + 82,
		Top: plotTop, Bottom: bottom, Axis: bottom + 16, Values: chartWidth - 16,
		Legend: bottom + 42, LegendText: bottom + 46, NoteText: bottom + 68,
	}
	if r.Quick {
		d.Title = "No measurement: a trial of the chart"
	}
	for v := low; v <= high*1.001; v *= 10 {
		d.Ticks = append(d.Ticks, tick{scale(v), power(v)})
	}
	for i, row := range single.Rows {
		middle := plotTop + rowHeight*i + rowHeight/2
		out := chartRow{Name: html.EscapeString(row.Contestant), Value: "failed", Text: middle + 4}
		if row.Contestant == inproqContestant.Name {
			out.Class = "ours"
		}
		if s := perSecond(row.Stats["ns"]); s.Count > 0 {
			out.Value = rate(s.Median)
			out.Marks = append(out.Marks, mark{"single", out.Class, scale(s.Median), scale(s.Min), scale(s.Max), middle - 6})
		}
		if other, ok := batch.row(row.Contestant); ok {
			s := perSecond(other.Stats["ns"])
			out.Marks = append(out.Marks, mark{"batch", out.Class, scale(s.Median), scale(s.Min), scale(s.Max), middle + 6})
		}
		d.Rows = append(d.Rows, out)
	}
	d.Note = html.EscapeString(d.Note)
	var svg strings.Builder
	if err := template.Must(template.New(chartFile).Parse(chartTemplate)).Execute(&svg, d); err != nil {
		panic(err) // the template is ours
	}
	return svg.String(), true
}

// table returns the table of a workload.
func (r Report) table(id string) (Table, bool) {
	for _, t := range r.Tables {
		if t.ID == id {
			return t, true
		}
	}
	return Table{}, false
}

// extent is the powers of ten around all rates; zeros if there are none.
func extent(tables ...Table) (low, high float64) {
	for _, t := range tables {
		for _, row := range t.Rows {
			if s := perSecond(row.Stats["ns"]); s.Count > 0 {
				if low == 0 {
					low, high = s.Min, s.Max
				}
				low, high = min(low, s.Min), max(high, s.Max)
			}
		}
	}
	if low == 0 {
		return 0, 0
	}
	return math.Pow10(int(math.Floor(math.Log10(low)))), math.Pow10(int(math.Ceil(math.Log10(high))))
}

// logScale maps rates to places between the edges of the plot.
func logScale(low, high float64) func(float64) coordinate {
	decades := max(math.Log10(high/low), 1)
	return func(v float64) coordinate {
		return coordinate(plotLeft + (plotRight-plotLeft)*math.Log10(v/low)/decades)
	}
}

// power writes a power of ten: 10 k, 1 M.
func power(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.0f M", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.0f k", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}
