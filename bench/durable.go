package main

import "fmt"

// durables are the workloads of contestants that keep what they have accepted on the
// disk.
func durables(e Effort) (all []Workload) {
	every := func(Contestant) bool { return true }
	for _, batch := range []int{1, 100} {
		for _, producers := range []int{16, 1} {
			s := shape{producers, batch, 128}
			all = append(all, Workload{
				Kind:    "durable",
				Title:   s.String(),
				Name:    fmt.Sprintf("producers=%d/batch=%d", producers, batch),
				Durable: true,
				Enters:  every,
				Measure: func(c Contestant, e Effort) (Sample, error) {
					return witnessed(c, func() (Sample, error) { return drainBytes(c, s, e.durable(s)) })
				},
			})
		}
	}
	all = append(all, Workload{
		Kind:    "durable-latency",
		Title:   "Send to handler, on an idle durable queue",
		Name:    "idle",
		Durable: true,
		Enters:  every,
		Measure: func(c Contestant, e Effort) (Sample, error) {
			return witnessed(c, func() (Sample, error) { return measureLatency(c, e.durable(shape{1, 1, 128})) })
		},
	})
	return append(all, durableDelayed(e))
}

// durable is the effort for contestants that take a thousand messages a second or less:
// rounds begin small, and one of them warms up. It takes longer, so that checkpoints are
// a part of it, and so is what groups acknowledgements by the quarter of a second.
func (e Effort) durable(s shape) Effort {
	rounds := min(e.Least/e.Unit, 2)
	e.Unit = s.unit()
	e.Least = rounds * e.Unit
	e.Time *= 3
	return e
}

// unit is the smallest number of messages from 100 on that producers and batches divide.
func (s shape) unit() int {
	each := s.producers * s.batch
	return (100 + each - 1) / each * each
}
