package main

import "time"

// A Workload is one measurement that all contestants take who can.
type Workload struct {
	// Kind is what the result looks like: "drain", "json", "latency", "delayed",
	// "backlog", and of the durable ones "durable", "durable-latency",
	// "durable-delayed".
	Kind string
	// Title and Name tell it from others of its kind: in the results, and in -run.
	Title, Name string
	// Durable: for contestants that are, and for no others.
	Durable bool
	// Enters tells whether a contestant could take part.
	Enters  func(Contestant) bool
	Measure func(Contestant, Effort) (Sample, error)
}

// ID is what -run sees, together with the contestant's name.
func (w Workload) ID() string { return w.Kind + "/" + w.Name }

// Takes tells whether a contestant takes part.
func (w Workload) Takes(c Contestant) bool {
	return (c.Only == "" || c.Only == w.ID()) && c.Durable == w.Durable && w.Enters(c)
}

// A Sample is what one measurement found, by the name of the quantity.
type Sample map[string]float64

// An Effort says how much one measurement should do.
type Effort struct {
	// Time is about what the measured part takes.
	Time time.Duration
	// Patience ends a measurement that does not come to an end.
	Patience time.Duration
	// Unit is the messages of the first round, and what those of others are multiples
	// of: the producers and the batch divide it.
	Unit int
	// Least and Round are the messages of a round that counts, at least and at most:
	// few ones say more about how it begins.
	Least, Round int
	// Heap is the memory, in bytes, that the process holds beside the queue, as an
	// application does. Without any, the collector starts every few milliseconds.
	Heap int
	// Latencies is how many messages are sent for a latency, at most.
	Latencies int
	// Pending, Backlog and Held are the sizes of those workloads, in messages; Held is
	// that of the durable delayed ones.
	Pending []int
	Backlog int
	Held    int
}

// The efforts of a measurement, and of a trial that measures nothing.
var (
	fullEffort = Effort{
		Time: 600 * time.Millisecond, Patience: time.Minute, Unit: unit, Least: 10 * unit, Round: 96_000, Heap: 64 << 20,
		Latencies: 2000, Pending: []int{1_000, 100_000, 1_000_000}, Backlog: 1_000_000, Held: 10_000,
	}
	quickEffort = Effort{
		Time: 10 * time.Millisecond, Patience: 20 * time.Second, Unit: unit, Least: unit, Round: 32_000, Heap: 64 << 20,
		Latencies: 20, Pending: []int{1_000, 10_000}, Backlog: 10_000, Held: 200,
	}
)

// Workloads lists all, in the order of the results.
func Workloads(e Effort) []Workload {
	all := append(drains(), jsonDrains()...)
	all = append(all, latency(e))
	for _, pending := range e.Pending {
		all = append(all, delayed(pending))
	}
	all = append(all, backlog(e))
	return append(all, durables(e)...)
}
