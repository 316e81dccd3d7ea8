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

// minutesAhead is how far batches that are counted at the same time may be apart.
const minutesAhead = 60

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
	Written Written // that was noticed in it
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
	// Written tells what was sent to the queue so far. It is asked at most once a second.
	// Nil: nothing.
	Written func() Written

	asked   atomic.Int64 // when, in nanoseconds since 1970
	mu      sync.Mutex
	written Written  // what it has said
	slots   []Minute // in the order of At and Way
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
	written := m.ask(a.Now, false)
	m.mu.Lock()
	defer m.mu.Unlock()
	// What is far ahead was counted by a clock that has been set back since.
	for n := len(m.slots); n > 0 && m.slots[n-1].At > minuteOf(a.Now)+minutesAhead; n-- {
		m.slots = m.slots[:n-1]
	}
	s := m.slot(minuteOf(a.Now), a.Way)
	s.Written.grow(&m.written, written)
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

// ask asks what was sent so far, unless it was asked less than a second ago. It is not
// called under the lock: the answer may take the store.
func (m *Minutes) ask(at time.Time, always bool) Written {
	now, last := at.UnixNano(), m.asked.Load()
	if m.Written == nil || !always && now >= last && now-last < int64(time.Second) {
		return Written{}
	}
	m.asked.Store(now)
	return m.Written()
}

// Look returns a copy of what is kept, the oldest minute first, with a sample of the
// backlog in the current one. Of a queue to which nothing happens it keeps nothing.
func (m *Minutes) Look(a *Activity) []Minute {
	written := m.ask(a.Now, true)
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.written; written.Count > last.Count || written.Units > last.Units || written.Bytes > last.Bytes {
		m.slot(minuteOf(a.Now), a.Way).Written.grow(&m.written, written)
	}
	copied := Minutes{slots: m.list()}
	s := copied.slot(minuteOf(a.Now), a.Way)
	s.Samples++
	s.BacklogCount += float64(a.BacklogCount)
	s.BacklogSum += float64(a.BacklogSum)
	return copied.slots
}

// Forget begins anew: another queue has the name.
func (m *Minutes) Forget() {
	var written Written
	if m.Written != nil {
		written = m.Written()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slots, m.written = nil, written
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
		m.slot(minute, a.Way).Busy += max(end.Sub(at), 0)
		at = end
	}
}

// grow adds what has come since last time. Of answers that overtake each other the larger
// counts.
func (w *Written) grow(last *Written, now Written) {
	for _, x := range [...]struct {
		sum, last *uint64
		now       uint64
	}{{&w.Count, &last.Count, now.Count}, {&w.Units, &last.Units, now.Units}, {&w.Bytes, &last.Bytes, now.Bytes}} {
		if x.now > *x.last {
			*x.sum += x.now - *x.last
			*x.last = x.now
		}
	}
}

// slot returns that of a minute, new if need be. It is valid until the next call. The
// caller holds mu.
func (m *Minutes) slot(minute int64, way Way) *Minute {
	i := len(m.slots)
	for i > 0 && (m.slots[i-1].At > minute || m.slots[i-1].At == minute && m.slots[i-1].Way > way) {
		i--
	}
	if i > 0 && m.slots[i-1].At == minute && m.slots[i-1].Way == way {
		return &m.slots[i-1]
	}
	if len(m.slots) >= MinutesKept+minutesSlack {
		if i < minutesSlack {
			return new(Minute) // too old to be kept
		}
		m.slots = slices.Delete(m.slots, 0, minutesSlack)
		i -= minutesSlack
	}
	m.slots = slices.Insert(m.slots, i, Minute{At: minute, Way: way})
	return &m.slots[i]
}

// list returns a copy of what is kept, the oldest first. The caller holds mu.
func (m *Minutes) list() []Minute { return slices.Clone(m.slots[max(0, len(m.slots)-MinutesKept):]) }

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }
