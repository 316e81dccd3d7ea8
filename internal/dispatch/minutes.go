package dispatch

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MinutesKept is how many minutes in which something happened are kept for a queue.
const MinutesKept = 6 * 60

// minutesSlack is how many more there may be, so that room is made for that many at
// once.
const minutesSlack = 30

// Way is how messages come to who consumes them.
type Way uint8

// The ways.
const (
	ByPush Way = iota // to a handler
	ByPull
)

// Done is what became of messages that are delivered no more: an index of Outs.
type Done uint8

// What may become of them.
const (
	Succeeded Done = iota // acknowledged
	Buried                // moved to the dead-letter queue
	Discarded             // deleted with no attempt left
	dones
)

// Ops adds up operations on messages.
type Ops struct {
	Count, Units, Bytes uint64
	Retries             uint64        // deliveries before the one that counts here
	Lag                 time.Duration // from the send to the operation
	Largest             int64         // bytes of a body
}

// Add adds others.
func (o *Ops) Add(x *Ops) {
	o.Count += x.Count
	o.Units += x.Units
	o.Bytes += x.Bytes
	o.Retries += x.Retries
	o.Lag += x.Lag
	o.Largest = max(o.Largest, x.Largest)
}

// Outs are the operations that ended messages.
type Outs [dones]Ops

// Written is what was sent to a queue so far.
type Written struct{ Count, Units, Bytes uint64 }

// A Minute is what happened to a queue in one minute, to messages that came one way.
type Minute struct {
	At      int64 // minutes since 1970
	Way     Way
	Written Written // before it began; what comes after it counts for it, until the next
	Reads   Ops
	Outs    Outs
	Expired uint64
	Busy    time.Duration // of handlers

	Samples                  int64 // of the backlog
	BacklogCount, BacklogSum float64
}

// Minutes keep what happened to a queue minute by minute, as long as there is room.
// They are empty, and small, until something is added: once for each batch.
type Minutes struct {
	// Written tells what was sent to the queue, once for each minute. Nil: nothing.
	Written func() Written

	newest atomic.Int64 // At of the last of them
	mu     sync.Mutex
	slots  []Minute // in the order of At and Way
}

// Activity is what is added at once.
type Activity struct {
	Now    time.Time
	Way    Way
	Began  time.Time // of the handler; zero: there was none
	Ended  time.Time
	Reads  Ops
	Outs   Outs
	Lapsed uint64 // messages that retention has deleted

	Sampled                  bool
	BacklogCount, BacklogSum int64
}

// Add adds what a batch was.
func (m *Minutes) Add(a *Activity) {
	minute := minuteOf(a.Now)
	var written Written
	if m.Written != nil && m.newest.Load() < minute {
		written = m.Written() // not under the lock: it asks the store
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slot(minute, a.Way, written)
	s.Reads.Add(&a.Reads)
	for i := range a.Outs {
		if a.Outs[i].Count > 0 {
			s.Outs[i].Add(&a.Outs[i])
		}
	}
	s.Expired += a.Lapsed
	if a.Sampled {
		s.Samples++
		s.BacklogCount += float64(a.BacklogCount)
		s.BacklogSum += float64(a.BacklogSum)
	}
	if !a.Began.IsZero() {
		m.busy(s, a)
	}
}

// busy divides the time of a handler among the minutes that it ran in. The caller holds
// mu.
func (m *Minutes) busy(s *Minute, a *Activity) {
	from, last := minuteOf(a.Began), minuteOf(a.Ended)
	if from == last && last == s.At {
		s.Busy += a.Ended.Sub(a.Began) // by far the most
		return
	}
	at := a.Began
	for minute := max(from, last-MinutesKept); minute <= last; minute++ {
		end := time.Unix((minute+1)*60, 0)
		if end.After(a.Ended) {
			end = a.Ended
		}
		m.slot(minute, a.Way, Written{}).Busy += max(end.Sub(at), 0)
		at = end
	}
}

// slot returns that of a minute, new if need be. One that is older than others takes
// over what was written before the next, so that what was sent counts once. It is valid
// until the next call. The caller holds mu.
func (m *Minutes) slot(minute int64, way Way, written Written) *Minute {
	i := len(m.slots)
	for i > 0 && (m.slots[i-1].At > minute || m.slots[i-1].At == minute && m.slots[i-1].Way > way) {
		i--
	}
	if i > 0 && m.slots[i-1].At == minute && m.slots[i-1].Way == way {
		return &m.slots[i-1]
	}
	switch {
	case i < len(m.slots):
		written = m.slots[i].Written
	case i > 0 && m.slots[i-1].At == minute:
		written = m.slots[i-1].Written // of the other way; the sends count for the later of the two
	case i == 0:
		written = Written{} // the first: all that was sent until now counts for it
	}
	if len(m.slots) >= MinutesKept+minutesSlack {
		if i < minutesSlack {
			return new(Minute) // too old to be kept
		}
		m.slots = slices.Delete(m.slots, 0, minutesSlack)
		i -= minutesSlack
	}
	m.slots = slices.Insert(m.slots, i, Minute{At: minute, Way: way, Written: written})
	m.newest.Store(m.slots[len(m.slots)-1].At)
	return &m.slots[i]
}

// List returns a copy of what is kept, the oldest first.
func (m *Minutes) List() []Minute {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.slots[max(0, len(m.slots)-MinutesKept):])
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }
