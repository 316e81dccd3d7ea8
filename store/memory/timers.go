package memory

import (
	"math"
	"time"

	"github.com/inproq/inproq/internal/timingwheel"
)

// ticks rounds a time up to the wheel's tick, so that nothing is ever early.
func ticks(at int64) uint64 {
	if at == never {
		return never
	}
	return (uint64(at) + uint64(tick) - 1) / uint64(tick)
}

// after is now + d, without overflow.
func after(now int64, d time.Duration) int64 {
	if at := now + max(int64(d), 0); at >= now {
		return at
	}
	return never
}

// expires is when retention ends for a message born then.
func (q *queue) expires(born int64) int64 {
	if q.retention == 0 {
		return never
	}
	return after(born, time.Duration(q.retention))
}

// advance does what is due: delays that have passed, leases that have run out,
// messages past their retention. It handles about budget of them and reports
// whether that was all.
func (q *queue) advance(now int64) bool {
	t := uint64(now / int64(tick))
	if t < q.armed || q.over != nil {
		return true
	}
	done := true
	if q.timers != nil {
		done = q.timers.Advance(t, budget, func(id uint32) { q.due(id, now) })
	}
	if q.leases.timers != nil {
		done = q.leases.timers.Advance(t, budget, func(l uint32) { q.runOut(l, now) }) && done
	}
	if t >= q.expiry {
		done = q.expireFresh(now) && done
	}
	if done {
		q.rearm(now)
	}
	return done
}

// onTimer is the callback of timer. It arms the timer again last, by advance:
// otherwise two callbacks could overlap.
func (q *queue) onTimer() {
	q.lock()
	q.unlock()
}

// arm makes sure that advance runs at tick t.
func (q *queue) arm(t uint64, now int64) {
	if t >= q.armed {
		return
	}
	q.armed = t
	d := time.Duration(math.MaxInt64)
	if t < uint64(d/tick) {
		d = max(time.Duration(t)*tick-time.Duration(now), 0)
	}
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.onTimer)
	} else {
		q.timer.Reset(d)
	}
}

// rearm sets the timer for the next thing that is due, when the one it was set
// for has passed.
func (q *queue) rearm(now int64) {
	next := q.expiry
	if q.timers != nil {
		if t, ok := q.timers.Next(); ok {
			next = min(next, t)
		}
	}
	if q.leases.timers != nil {
		if t, ok := q.leases.timers.Next(); ok {
			next = min(next, t)
		}
	}
	q.armed = never
	q.arm(next, now)
}

// schedule puts an entry on the wheel: at the end of its delay, or of its
// retention if that is sooner.
func (q *queue) schedule(id uint32, due uint64, now int64) {
	e := q.slab.at(id)
	at := ticks(q.expires(e.born))
	if e.state() == delayed && (at < due || due == never) {
		if q.late == nil {
			q.late = make(map[uint32]uint64)
		}
		q.late[id] = due
	}
	if at = min(at, due); at == never {
		return
	}
	if q.timers == nil {
		q.timers = timingwheel.New(uint64(now / int64(tick)))
	}
	q.timers.Add(id, at)
	q.arm(at, now)
}

// unschedule takes an entry from the wheel.
func (q *queue) unschedule(id uint32) {
	if q.timers != nil {
		q.timers.Cancel(id)
	}
	delete(q.late, id)
}

// due is called for an entry whose time has come.
func (q *queue) due(id uint32, now int64) {
	e := q.slab.at(id)
	late, isLate := q.late[id]
	delete(q.late, id)
	switch {
	case q.expires(e.born) <= now:
		q.expire(id)
	case e.state() == ready:
		q.schedule(id, never, now) // retention was lengthened meanwhile
	case isLate && late > uint64(now/int64(tick)):
		q.schedule(id, late, now)
	default:
		q.delayed--
		q.giveBack(id, now)
	}
}

// expire removes an entry past its retention.
func (q *queue) expire(id uint32) {
	n := q.remove(id)
	q.expired++
	q.expiredBytes += n
}

// retime puts waiting entries where the changed retention wants them. A longer
// one could wait until they come up, but so can a shorter one never.
func (q *queue) retime() {
	now := q.store.now()
	for id := range q.slab.used {
		e := q.slab.at(id)
		due := uint64(never)
		switch e.state() {
		case ready:
		case delayed:
			var ok bool
			if due, ok = q.late[id]; !ok {
				due, _ = q.timers.Deadline(id)
			}
		default:
			continue
		}
		q.unschedule(id)
		q.schedule(id, due, now)
	}
}

// expireFresh removes fresh messages past their retention, about budget of
// them, and finds out when the next may expire. It reports whether it has
// finished.
func (q *queue) expireFresh(now int64) bool {
	// Order: first say that nothing is pending, then look. A sender first adds
	// its message and then looks at unarmed, so one of the two sees the other.
	q.unarmed.Store(true)
	q.expiry = never
	if q.retention == 0 {
		q.unarmed.Store(false) // nothing will ever expire
		return true
	}
	for i := range q.lanes {
		for n := 0; ; n++ {
			s := q.head(i)
			if s == nil {
				break
			}
			if at := q.expires(s.born); at > now || n == budget {
				q.expiry = min(q.expiry, ticks(at))
				q.unarmed.Store(false)
				break
			}
			q.expired++
			q.expiredBytes += q.dropFresh(i, s)
		}
	}
	return q.expiry > uint64(now/int64(tick))
}

// watch makes sure that a fresh message, born then, expires. It is called by
// the sender that finds nobody watching.
func (q *queue) watch(born, now int64) {
	if q.over != nil || !q.unarmed.Swap(false) || q.retention == 0 {
		return
	}
	q.expiry = ticks(q.expires(born))
	q.arm(q.expiry, now)
}
