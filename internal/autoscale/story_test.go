package autoscale

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// story is what happened in a world.
type story struct {
	moments     []moment // whenever a batch began or ended
	decisions   []Decision
	lastArrival time.Duration
	lastFailure time.Duration
}

// moment is the state of a world after an event.
type moment struct {
	at      time.Duration
	running int // batches
	ready   int // messages
}

// reaches is when so many batches ran at once for the first time after a moment, counted from there.
func (s *story) reaches(running int, from time.Duration) time.Duration {
	for _, m := range s.moments {
		if m.at >= from && m.running >= running {
			return m.at - from
		}
	}
	return never
}

// peak is the largest number of batches that ran at once between two moments.
func (s *story) peak(from, to time.Duration) int {
	peak := 0
	for _, m := range s.moments {
		if m.at >= from && m.at < to {
			peak = max(peak, m.running)
		}
	}
	return peak
}

// mean is the mean number of running batches between two moments.
func (s *story) mean(from, to time.Duration) float64 {
	sum, at, running := 0.0, from, 0
	for _, m := range append(slices.Clone(s.moments), moment{at: never}) {
		if until := min(m.at, to); until > at {
			sum += float64(running) * (until - at).Seconds()
			at = until
		}
		running = m.running
	}
	return sum / (to - from).Seconds()
}

// backlog is the largest number of messages that waited, sampled when batches began and ended.
func (s *story) backlog(from, to time.Duration) int {
	most := 0
	for _, m := range s.moments {
		if m.at >= from && m.at < to {
			most = max(most, m.ready)
		}
	}
	return most
}

// drained is when for the first time nothing waited or ran.
func (s *story) drained() time.Duration {
	for _, m := range s.moments {
		if m.running == 0 && m.ready == 0 {
			return m.at
		}
	}
	return never
}

// limits are the least and the largest limit decided between two moments.
func (s *story) limits(from, to time.Duration) (least, largest int) {
	least = math.MaxInt
	for _, d := range s.decisions {
		if at := d.Time.Sub(epoch); at >= from && at < to {
			least, largest = min(least, d.To), max(largest, d.To)
		}
	}
	return least, largest
}

// rules counts the decisions of each rule between two moments.
func (s *story) rules(from, to time.Duration) map[string]int {
	count := map[string]int{}
	for _, d := range s.decisions {
		if at := d.Time.Sub(epoch); at >= from && at < to {
			count[d.Rule]++
		}
	}
	return count
}

// median is the middle value of what measure says about each story.
func median[T cmp.Ordered](stories []*story, measure func(*story) T) T {
	values := make([]T, 0, len(stories))
	for _, s := range stories {
		values = append(values, measure(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
