package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sampleReport has invented figures for some contestants.
func sampleReport() Report {
	steady := func(v float64) Stat { return Stat{v, v * 0.9, v * 1.2, 5} }
	drain := func(id, title string, floor, ours, theirs float64) Table {
		row := func(name string, ns float64) Row {
			return Row{Contestant: name, Stats: map[string]Stat{"ns": steady(ns), "n": steady(1e6), "allocs": steady(2)}}
		}
		return Table{Kind: "drain", Title: title, ID: id, Rows: []Row{
			row("raw channel", floor), row("inproq", ours), row("watermill GoChannel", theirs), {Contestant: "a <b> & c", Error: "no | ink"},
		}}
	}
	return Report{
		Date: time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC), Took: 9 * time.Minute, Count: 5, Effort: fullEffort,
		Machine:     Machine{CPU: "AMD EPYC <1>", Kernel: "6.1", Go: "go1.26.8", OS: "linux/amd64", Cores: 2, Procs: 2, Virtual: true, MemoryGiB: 24, Files: "ext4"},
		Commit:      Commit{Hash: "0123456789ab"},
		Versions:    map[string]string{"github.com/ThreeDotsLabs/watermill": "v1.5.1", "github.com/inproq/inproq": "this tree"},
		Contestants: Contestants, Foreign: Stat{0.01, 0, 0.05, 100},
		Tables: []Table{
			drain(chartSingle, "16 producers", 50, 100, 5000),
			drain(chartBatch, "batches", 50, 60, 4000),
			{Kind: "delayed", Title: "1,000 pending", ID: "delayed/pending=1000", Rows: []Row{
				{Contestant: "inproq", Stats: map[string]Stat{"ns": steady(40), "bytes": steady(200)}},
			}},
			{Kind: "durable", Title: "16 producers to disk", ID: "durable/producers=16/batch=1", Rows: []Row{
				{Contestant: "raw log", Stats: map[string]Stat{"ns": steady(20e3), "allocs": steady(2)}},
				{Contestant: "inproq on SQLite", Stats: map[string]Stat{"ns": steady(40e3), "allocs": steady(2), "unwritten": {}}},
				{Contestant: "backlite", Stats: map[string]Stat{"ns": steady(1e6), "allocs": steady(2), "unwritten": {}, "synchronous": {2, 2, 2, 5}}},
			}},
			{Kind: "durable-latency", Title: "to disk", ID: "durable-latency/idle", Rows: []Row{
				{Contestant: "raw log", Stats: map[string]Stat{"p50": steady(200e3), "n": steady(900)}},
				{Contestant: "backlite", Stats: map[string]Stat{"p50": steady(800e3), "n": steady(900)}},
			}},
		},
	}
}

func TestResults(t *testing.T) {
	text := results(sampleReport())
	for _, line := range []string{
		"![Messages per second](throughput.svg)",
		"on 5 November 2026, at commit 0123456789ab, in 9m0s.",
		"| machine | AMD EPYC <1>, 2 processors (GOMAXPROCS 2), 24 GiB |",
		"| system | linux/amd64, kernel 6.1 |",
		"| others on the machine | used 1 % of the processors (median; at most 5 %) |",
		"## Throughput",
		"### 16 producers",
		"| raw channel | 20.0 M | 16.7 M – 22.2 M | 50.0 ns | 1.00 | 0.50 × | 2.0 |",
		"| inproq | 10.0 M | 8.33 M – 11.1 M | 100 ns | 0.50 |  | 2.0 |",
		"| watermill GoChannel | 200 k | 167 k – 222 k | 5.00 µs | 0.010 | 50.0 × | 2.0 |",
		`| a <b> & c | failed: no \| ink |  |  |  |  |  |`,
		"| inproq | 40.0 ns | 36.0 ns – 48.0 ns | 200 B | 180 B – 240 B |",
		"* **watermill GoChannel** (`github.com/ThreeDotsLabs/watermill` v1.5.1): gochannel with",
		"* **raw channel**: The floor",
		"| files | ext4 |",
		"when Send had returned | raw log: unknown: only Linux tells, from 6.5; inproq on SQLite: all on the disk; backlite: all on the disk, journal_mode wal, synchronous 2 |",
		"| raw log | 50.0 k | 41.7 k – 55.6 k | 20.0 µs | 1.00 | 0.50 × | 2.0 |",
		"| inproq on SQLite | 25.0 k | 20.8 k – 27.8 k | 40.0 µs | 0.50 |  | 2.0 |",
		"| backlite | 1.00 k | 833 – 1.11 k | 1.00 ms | 0.020 | 25.0 × | 2.0 |",
		"| backlite | 800 µs | 720 µs – 960 µs | – | – | 4.00 | 900 |",
		"1.8s are counted",
		"* Processes hold 64 MiB beside the queue",
		"more than 10 % of the processors",
		"do less than 75 % of what they should",
	} {
		assert.Contains(t, text, line)
	}
	assert.NotContains(t, text, "> **", "no warnings")
	assert.NotContains(t, text, "## Latency", "not measured")
	assert.NotContains(t, text, "\n\n\n")
	columns := 0
	for line := range strings.Lines(text) {
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if columns != 0 && n != 0 {
			assert.Equal(t, columns, n, "a table is as wide everywhere: %s", line)
		}
		columns = n
	}
}

// Whatever makes figures doubtful stands at the top.
func TestResultsWarn(t *testing.T) {
	r := sampleReport()
	r.Quick, r.Forced, r.Only, r.Commit.Dirty, r.Foreign, r.Broken = true, true, "inproq", true, Stat{}, "no ink"
	top, _, _ := strings.Cut(results(r), "## Throughput")
	assert.Contains(t, top, "> **This is a trial (-quick)")
	assert.Contains(t, top, "> **Measured with -force")
	assert.Contains(t, top, `> **Only a part was measured: -run "inproq".**`)
	assert.Contains(t, top, "> **The run has ended early: no ink.**")
	assert.Contains(t, top, "0123456789ab with uncommitted changes")
	assert.Contains(t, top, "unknown: only Linux tells")

	r.Tables, r.Machine.Virtual = r.Tables[1:3], false
	text := results(r)
	assert.Contains(t, text, "## Throughput")
	assert.NotContains(t, text, "throughput.svg", "there is none without its first workload")
	assert.NotContains(t, text, "virtual machine", "nobody looked at that")
	assert.NotContains(t, text, "| files |", "there were none")
	assert.NotContains(t, text, "flush")
}

// To flush to memory costs nothing.
func TestResultsWarnOfMemory(t *testing.T) {
	const warning = "> **The files were on tmpfs, which is memory"
	r := sampleReport()
	assert.NotContains(t, results(r), warning)
	r.Machine.Files = "tmpfs"
	assert.Contains(t, results(r), warning)
	r.Tables = r.Tables[:3]
	assert.NotContains(t, results(r), warning, "nothing durable was measured")

	r = sampleReport()
	r.Machine.Files = ""
	assert.Contains(t, results(r), "| files | on a file system that is unknown: only Linux tells |")
}

// Who fails late keeps what was measured before.
func TestResultsOfAFailure(t *testing.T) {
	r := sampleReport()
	r.Tables[0].Rows[1].Error = "repetition 5 of 5: no ink"
	assert.Contains(t, results(r), "| inproq (failed: repetition 5 of 5: no ink) | 10.0 M |")
}

func TestChart(t *testing.T) {
	svg, ok := chart(sampleReport())
	require.True(t, ok)
	var texts []string
	circles := 0
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			assert.NotContains(t, []string{"script", "image", "foreignObject"}, token.Name.Local)
			if token.Name.Local == "circle" {
				circles++
			}
			for _, a := range token.Attr {
				assert.NotContains(t, a.Value, "NaN")
			}
		case xml.CharData:
			texts = append(texts, strings.TrimSpace(string(token)))
		}
	}
	assert.Equal(t, 3*2+2, circles, "two for each contestant that has figures, and the legend")
	for _, text := range []string{"inproq", "10.0 M", "200 k", "a <b> & c", "failed", "100 k", "1 M", "100 M"} {
		assert.Contains(t, texts, text)
	}
	assert.Contains(t, svg, "prefers-color-scheme: dark")

	_, ok = chart(Report{})
	assert.False(t, ok, "nothing to draw")
	_, ok = chart(Report{Tables: []Table{{ID: chartSingle, Rows: []Row{{Contestant: "inproq", Error: "out of ink"}}}}})
	assert.False(t, ok, "nothing to draw")
}

// Ten times as fast is as far to the right everywhere.
func TestLogScale(t *testing.T) {
	scale := logScale(1e4, 1e7)
	assert.Equal(t, coordinate(plotLeft), scale(1e4))
	assert.Equal(t, coordinate(plotRight), scale(1e7))
	assert.InDelta(t, float64(scale(1e6)-scale(1e5)), float64(scale(1e5)-scale(1e4)), 1e-9)
	low, high := extent(sampleReport().Tables[:2]...)
	assert.Equal(t, []float64{1e5, 1e8}, []float64{low, high})
}
