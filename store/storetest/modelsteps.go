package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/inproq/inproq/store"
)

// The steps of Model: each draws its arguments, makes a call, and compares what
// it returns with what the shadow of the queue foresees.

func (m *model) enqueue(queue string, q *shadow) {
	var batch []store.Message
	for i := range 1 + m.src.Intn("messages", 4) {
		w := msg(fmt.Sprintf("%d/%d%s", len(m.trace), i, strings.Repeat(".", m.src.Intn("size", 4)*7)))
		w.Delay = m.delay("delay")
		w.ContentType = []string{"json", "text", "", "x/y"}[m.src.Intn("type", 4)]
		if m.chance("headers", 3) {
			w.Headers = []byte("headers")
		}
		batch = append(batch, w)
	}
	if limit := m.promised.AtomicSend; limit > 0 {
		batch = batch[:min(limit, len(batch))]
	}
	if ids := slices.SortedFunc(maps.Keys(q.messages), compareIDs); m.promised.Idempotent && len(ids) > 0 && m.chance("repeat", 4) {
		batch[0].ID = ids[m.src.Intn("repeated", len(ids))]
	}
	m.note("Enqueue %s: %s", queue, describeMessages(batch))
	now := time.Now()
	want := q.stats(now)
	before, err := m.store.Enqueue(m.ctx, queue, batch)
	m.ok("Enqueue", err)
	before.Delayed, before.Leased, before.Oldest = -1, -1, time.Time{} // best effort here
	if diff := diffStats(before, want); diff != "" {
		m.fail("Enqueue: before it, %s", diff)
	}
	for _, sent := range batch {
		if q.messages[sent.ID] != nil {
			continue
		}
		w := &twin{Message: clone(sent), born: now}
		w.schedule(now, sent.Delay, q.grain)
		w.Message.Delay = 0
		q.messages[sent.ID] = w
		scribble(sent.Body)
		scribble(sent.Headers)
	}
}

func (m *model) lease(queue string, q *shadow) {
	c := store.Claim{Visibility: m.duration("visibility")}
	c.Min = m.src.Intn("min", 4)
	c.Max = m.src.Intn("max", 7)
	c.Bytes = []int{0, 0, 1, 20, 60}[m.src.Intn("bytes", 5)]
	if m.virtual {
		c.Wait = []time.Duration{0, 1, 2, 20}[m.src.Intn("wait", 4)] * m.beat
		if c.Wait > 0 {
			c.Wait += m.beat * 9 / 16
		}
		if n := m.src.Intn("linger", 4); n > 0 {
			c.Linger = time.Duration(n)*m.beat + m.beat/4
		}
	}
	m.note("Lease %s: min %d, max %d, bytes %d, visibility %v, wait %v, linger %v", queue, c.Min, c.Max, c.Bytes, c.Visibility, c.Wait, c.Linger)
	start := time.Now()
	expect := q.foresee(c, start)
	got, err := m.store.Lease(m.ctx, queue, c, nil)
	if q.record.Paused && c.Wait == 0 {
		m.fails("Lease of a paused queue", err, store.ErrPaused)
		return
	}
	m.ok("Lease", err)
	now := time.Now()
	m.note("  got %q", bodies(got))
	f := m.matches(q, c, expect, got, start, now)
	m.adopt(queue, q, c, f, got, now)
	m.clear()
	m.align()
}

// matches finds the forecast that came true.
func (m *model) matches(q *shadow, c store.Claim, expect []forecast, got []store.Delivery, start, now time.Time) forecast {
	m.tb.Helper()
	slack := 2 * q.grain
	if !m.virtual {
		slack = time.Minute
	}
	for _, f := range expect {
		if f.empty == (len(got) == 0) && !now.Before(f.at) && !now.After(f.until.Add(slack)) {
			return f
		}
		if m.promised.Partial && len(got) > 0 && !now.After(f.at.Add(slack)) {
			eager := q.simulate(store.Claim{Min: 1, Wait: c.Wait}, start, time.Time{}, false)
			if !eager.empty && !now.Before(eager.at) {
				return eager
			}
		}
	}
	want := "messages"
	if expect[0].empty {
		want = "nothing"
	}
	m.fail("Lease returned %q after %v, want %s after %v", bodies(got), now.Sub(start), want, expect[0].at.Sub(start))
	return forecast{}
}

// adopt checks which messages a Lease took, and notes that they are leased.
func (m *model) adopt(queue string, q *shadow, c store.Claim, f forecast, got []store.Delivery, now time.Time) {
	m.tb.Helper()
	most := max(c.Max, c.Min, 1)
	if len(got) > most {
		m.fail("Lease with Max %d returned %d messages", most, len(got))
	}
	taken, size := map[store.ID]bool{}, 0
	for _, d := range got {
		w := q.messages[d.ID]
		if w == nil || taken[d.ID] || w.due.After(now) || !w.leasableUntil(q, now) {
			m.fail("Lease returned %q, which was not leasable", d.Body)
		}
		m.compare("Lease", w, d, w.attempts+1)
		taken[d.ID] = true
		size += len(d.Body)
	}
	if c.Bytes > 0 && size > c.Bytes && len(got) > 1 {
		m.fail("Lease with Bytes %d returned %d messages of %d bytes", c.Bytes, len(got), size)
	}
	if len(got) > 0 && len(got) < most && !m.promised.Partial {
		if left := q.leftBehind(c, f, now, taken, size); len(left) > 0 {
			m.fail("Lease returned %q and left %q, which were leasable and would have fitted", bodies(got), left)
		}
	}
	for _, d := range got {
		w := q.messages[d.ID]
		w.lease, w.attempts, w.vague = d.Lease, d.Attempts, false
		w.schedule(now, c.Visibility, q.grain)
		m.leases = append(m.leases, held{queue, d.Lease})
	}
	if len(got) > 0 {
		q.lastLease = now
	}
}

// leftBehind are the messages that a Lease should have taken, too, if it took less
// than Max: none if the next one may have been too large for Bytes.
func (q *shadow) leftBehind(c store.Claim, f forecast, now time.Time, taken map[store.ID]bool, size int) (left []string) {
	for id, w := range q.messages {
		if taken[id] || w.due.After(now) || !w.leasableUntil(q, now) {
			continue
		}
		if c.Bytes > 0 && size+len(w.Body) > c.Bytes {
			return nil
		}
		surely := w.sure.Before(f.at) || w.sure.Equal(w.due) && !w.due.After(f.at)
		if surely && !q.over(w, now) {
			left = append(left, string(w.Body))
		}
	}
	return left
}

// leasableUntil says that retention was not over before, give or take the grain.
func (w *twin) leasableUntil(q *shadow, now time.Time) bool {
	end, mortal := q.end(w)
	return !mortal || now.Before(end.Add(q.grain))
}

func (m *model) settle(queue string, q *shadow) {
	now := time.Now()
	var outcomes []store.Outcome
	for range 1 + m.src.Intn("outcomes", 4) {
		if o, ok := m.drawOutcome(queue, q, now, outcomes); ok {
			outcomes = append(outcomes, o)
		}
	}
	if len(outcomes) == 0 {
		m.lease(queue, q) // there is nothing to settle yet
		return
	}
	m.note("Settle %s: %s", queue, m.describeOutcomes(outcomes))
	lost, err := m.store.Settle(m.ctx, queue, outcomes)
	for _, o := range outcomes {
		if o.Verb == store.Move && m.queues[o.To] == nil {
			m.fails("Settle with a Move to "+o.To, err, store.ErrQueueNotFound)
			return
		}
	}
	m.ok("Settle", err)
	var want []int
	for i, o := range outcomes {
		if !q.settle(o, m.queues, now, m.promised.Fenced) {
			want = append(want, i)
		}
	}
	slices.Sort(lost)
	if !slices.Equal(lost, want) {
		m.fail("Settle: lost are %v, want %v", lost, want)
	}
}

// drawOutcome draws one of the newest leases of a queue, stale ones too where the
// store can tell.
func (m *model) drawOutcome(queue string, q *shadow, now time.Time, before []store.Outcome) (store.Outcome, bool) {
	var leases []store.Lease
	for _, h := range slices.Backward(m.leases) {
		if h.queue != queue || len(leases) == 10 {
			continue
		}
		if w := q.holder(h.lease); !m.promised.Fenced && (w == nil || !w.leased(now) ||
			slices.ContainsFunc(before, func(o store.Outcome) bool { return o.Lease == h.lease })) {
			continue
		}
		leases = append(leases, h.lease)
	}
	if len(leases) == 0 {
		return store.Outcome{}, false
	}
	o := store.Outcome{
		Lease: leases[m.src.Intn("lease", len(leases))],
		Verb:  store.Verb(m.src.Intn("verb", 5)),
		Delay: m.delay("delay"),
	}
	if o.Verb == store.Move {
		o = m.drawMove(o)
	}
	return o, true
}

func (m *model) drawMove(o store.Outcome) store.Outcome {
	o.Verb = store.Move
	o.To = []string{"a", "b", "c", "unknown"}[min(m.src.Intn("destination", 10)/3, 3)]
	o.Renew = m.chance("renew", 2)
	if m.chance("headers", 2) {
		o.Headers = fmt.Appendf([]byte{}, "moved%d", len(m.trace))
	}
	return o
}

func (m *model) purge(queue string, q *shadow) {
	m.note("Purge %s", queue)
	m.ok("Purge", m.store.Purge(m.ctx, queue))
	q.purge(time.Now())
}

// sleep lets time pass: some beats, or until something is due, or until just before.
func (m *model) sleep(_ string, q *shadow) {
	if !m.virtual {
		return
	}
	now := time.Now()
	d := m.duration("sleep")
	if at, ok := q.next(now); ok {
		switch m.src.Intn("until", 3) {
		case 1:
			d = at.Sub(now)
		case 2:
			d = at.Sub(now) - 1
		}
	}
	m.note("sleep %v", d)
	time.Sleep(d)
}
