package main

// A section is one kind of workload in the results.
type section struct {
	Title, Text string
	Tables      []renderedTable
}

type renderedTable struct{ Title, Table string }

// A kind is what workloads of one kind have in common in the results.
type kind struct {
	kind, title, text string
	columns           []column
	durable           bool
}

// references are the contestants that the others are compared with.
func (k kind) references() (floor, ours string) {
	if k.durable {
		return rawLogContestant.Name, inproqSQLiteContestant.Name
	}
	return floorContestant.Name, inproqContestant.Name
}

// kinds are the sections, in order.
var kinds = []kind{
	{
		"drain", "Throughput",
		"Messages a second from the first Send until all are handled and acknowledged, one by one, by 10 handlers. *Of the raw channel* is the\n" +
			"share of its throughput in the same shape; *inproq is* says how many times as fast inproq is. One of the\n" +
			"*allocations* of each message is the benchmark's own, its body; the raw channel shares one body.",
		throughput("raw channel"), false,
	},
	{
		"json", "JSON bodies",
		"A struct of six fields that is encoded and decoded on both sides: by inproq itself, and with encoding/json around the others.",
		throughput("raw channel"), false,
	},
	{
		"latency", "Latency",
		"From Send to the first line of the handler. One message at a time; the sender waits for it, and at least 200 µs more; for one that polls, at\n" +
			"random up to its interval more. A p99 is of at least 100 messages.",
		waits("raw channel"), false,
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
		}, false,
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
		}, false,
	},
	{
		"durable", "Durable throughput",
		"The same, to a disk: Send returns when its messages would outlive a loss of power, and an acknowledgement counts when it would.\n" +
			"Bodies of 128 bytes. *Of the raw log* is the share of what this disk and these processors allow a queue that does nothing else;\n" +
			"*inproq is* says how many times as fast inproq is.",
		throughput("raw log"), true,
	},
	{
		"durable-latency", "Durable latency",
		"From Send to the first line of the handler, as above. A queue may hand a message out before the disk has it, if the disk has it when Send returns.",
		waits("raw log"), true,
	},
	{
		"durable-delayed", "Durable delayed messages",
		"Inserts of messages of 128 bytes that are due at random within the second hour from now, while that many are pending: one after the other, and\n" +
			"in batches of 100 with one delay each.",
		[]column{
			{"an insert", func(x cell) string { return x.median("ns", duration) }},
			{"min – max", func(x cell) string { return x.spread("ns", duration) }},
			{"inproq is", func(x cell) string { return x.faster("ns") }},
			{"in batches, messages/s", func(x cell) string { return x.rate("batch_ns") }},
			{"min – max", func(x cell) string { return x.rates("batch_ns") }},
			{"inproq is", func(x cell) string { return x.faster("batch_ns") }},
			{"pending", func(x cell) string { return x.median("n", wholeNumber) }},
		}, true,
	},
}

// throughput compares with a floor.
func throughput(floor string) []column {
	return []column{
		{"messages/s", func(x cell) string { return x.rate("ns") }},
		{"min – max", func(x cell) string { return x.rates("ns") }},
		{"a message", func(x cell) string { return x.median("ns", duration) }},
		{"of the " + floor, func(x cell) string { return x.ratio(x.floor, x.row, "ns") }},
		{"inproq is", func(x cell) string { return x.faster("ns") }},
		{"allocations", func(x cell) string { return x.median("allocs", allocations) }},
	}
}

// waits compares with a floor.
func waits(floor string) []column {
	return []column{
		{"p50", func(x cell) string { return x.median("p50", duration) }},
		{"min – max", func(x cell) string { return x.spread("p50", duration) }},
		{"p99", func(x cell) string { return x.median("p99", duration) }},
		{"min – max", func(x cell) string { return x.spread("p99", duration) }},
		{"of the " + floor + "'s p50", func(x cell) string { return x.ratio(x.row, x.floor, "p50") }},
		{"messages", func(x cell) string { return x.median("n", wholeNumber) }},
	}
}

func sections(r page) (all []section) {
	for _, k := range kinds {
		s := section{Title: k.title, Text: k.text}
		for _, t := range r.of(k.kind) {
			s.Tables = append(s.Tables, renderedTable{t.Title, render(t, k)})
		}
		if len(s.Tables) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// render makes a table of a workload, with a row for each contestant that took part.
func render(t Table, k kind) string {
	table := markdown{head: []string{""}}
	for _, c := range k.columns {
		table.head = append(table.head, c.head)
	}
	floorName, oursName := k.references()
	floor, _ := t.row(floorName)
	ours, _ := t.row(oursName)
	for _, r := range t.Rows {
		cells := []string{r.Contestant}
		for _, c := range k.columns {
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
