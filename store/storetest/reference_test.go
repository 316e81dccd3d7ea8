package storetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

// A reference is the simplest store that keeps the contract: one mutex, a slice
// for each queue that is searched from end to end, and one channel that is closed
// at each change. It is slow and obviously right, unless it has a defect.
//
// One time says what a message is: until due it is leased when it has a lease and
// delayed when it has none, and from then on it is ready.
type reference struct {
	*disk
	promised store.Guarantee
	blind    bool // cannot tell cheaply what is delayed or leased
	defect   defect
	closed   bool
}

// A disk is what outlives the process.
type disk struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each change
	queues   map[string]*line
	revision uint64
	seq      uint64
}

type line struct {
	store.Queue
	items        []*item
	lastLease    time.Time
	expired      int64
	expiredBytes int64
}

type item struct {
	store.Message
	seq      uint64 // breaks ties
	sent     time.Time
	born     time.Time // from when retention counts
	due      time.Time
	lease    string // the newest, unless settled
	attempts int
}

func newReference(promised store.Guarantee) *reference {
	return &reference{promised: promised, disk: &disk{changed: make(chan struct{}), queues: map[string]*line{}}}
}

// reopen is what a new process finds after this one was killed.
func (s *reference) reopen() *reference {
	s.Close()
	return &reference{promised: s.promised, disk: s.disk}
}

func (s *reference) is(d defect) bool { return s.defect == d }

func (it *item) leased(now time.Time) bool { return it.lease != "" && now.Before(it.due) }

// after is when a delay that starts now ends: at the next tick of a clock that
// is as coarse as promised.
func (s *reference) after(now time.Time, d time.Duration) time.Time {
	end := now.Add(max(d, 0))
	if tick := s.promised.TimerGrain; d > 0 && tick > 0 && end.Truncate(tick) != end {
		end = end.Truncate(tick).Add(tick)
	}
	return end
}

// enter locks the store and finds a queue.
func (s *reference) enter(ctx context.Context, queue string) (*line, time.Time, error) {
	s.mu.Lock()
	now := time.Now()
	if err := cmp.Or(ctx.Err(), s.open()); err != nil {
		return nil, now, err
	}
	s.sweep(now)
	if q := s.queues[queue]; q != nil && !q.Deleted {
		return q, now, nil
	}
	return nil, now, store.ErrQueueNotFound
}

func (s *reference) open() error {
	if s.closed {
		return store.ErrClosed
	}
	return nil
}

// sweep deletes what has expired.
func (s *reference) sweep(now time.Time) {
	for _, q := range s.queues {
		q.items = slices.DeleteFunc(q.items, func(it *item) bool {
			gone := q.Retention > 0 && !now.Before(q.end(it)) && (!it.leased(now) || s.is(expiresLeased))
			if gone && s.is(keepsDelayed) && now.Before(it.due) {
				return false
			}
			if gone {
				q.expired++
				q.expiredBytes += int64(len(it.Body))
			}
			return gone
		})
	}
}

func (q *line) end(it *item) time.Time { return it.born.Add(q.Retention) }

// announce wakes everybody who waits.
func (s *reference) announce(unless defect) {
	switch {
	case s.is(unless):
	case s.is(wakesOne):
		select {
		case s.changed <- struct{}{}:
		default:
		}
	default:
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// wait blocks until something changes, until wake unless that is zero, or until
// ctx ends.
func (s *reference) wait(ctx context.Context, changed chan struct{}, wake time.Time) error {
	var timeout <-chan time.Time
	if !wake.IsZero() {
		timer := time.NewTimer(time.Until(wake))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-changed:
	case <-timeout:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (s *reference) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	q, now, err := s.enter(ctx, queue)
	defer s.mu.Unlock()
	if err != nil {
		return store.Stats{}, err
	}
	if most := s.promised.AtomicSend; most > 0 && len(msgs) > most {
		return store.Stats{}, store.ErrFull
	}
	before := s.count(q, now)
	for _, m := range msgs {
		held := slices.ContainsFunc(q.items, func(it *item) bool { return it.ID == m.ID })
		if held && s.promised.Idempotent {
			continue
		}
		s.seq++
		it := &item{Message: m, seq: s.seq, sent: now, born: now, due: s.after(now, m.Delay)}
		it.Body, it.Headers, it.Delay = fresh(m.Body), fresh(m.Headers), 0
		if s.is(retainsFromDue) {
			it.born = it.due
		}
		q.items = append(q.items, it)
	}
	s.announce(sendsSilently)
	return before, nil
}

// fresh copies bytes, with cap == len.
func fresh(b []byte) []byte { return slices.Clip(bytes.Clone(b)) }

func (s *reference) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	c.Min = max(c.Min, 1)
	c.Max = max(c.Max, c.Min)
	for start := time.Now(); ; {
		q, now, err := s.enter(ctx, queue)
		if err != nil {
			s.mu.Unlock()
			return buf, err
		}
		paused := q.Paused && !(s.is(pausesNoWaiter) && c.Wait != 0)
		if paused && c.Wait == 0 {
			s.mu.Unlock()
			return buf, store.ErrPaused
		}
		ready, wake := s.ready(q, now)
		if paused {
			ready, wake = nil, time.Time{}
		}
		var end time.Time // of this Lease, as things are
		switch {
		case len(ready) >= c.Min, len(ready) > 0 && s.promised.Partial:
			end = now
		case len(ready) > 0:
			end = s.lingerFrom(q, ready, start).Add(max(c.Linger, 0))
		case c.Wait >= 0:
			end = start.Add(c.Wait)
		}
		if !end.IsZero() && !now.Before(end) {
			buf = s.take(q, ready, c, now, buf)
			s.mu.Unlock()
			return buf, nil
		}
		if s.is(lingersOnLeases) {
			for _, it := range ready {
				it.lease, it.due = "lingering", end
			}
		}
		changed := s.changed
		s.mu.Unlock()
		if err := s.wait(ctx, changed, earliest(wake, end)); err != nil {
			return buf, err
		}
	}
}

// ready are the items that are leasable, the first first; next is when that
// changes by itself.
func (s *reference) ready(q *line, now time.Time) (ready []*item, next time.Time) {
	for _, it := range q.sorted() {
		if q.Retention > 0 && q.end(it).After(now) {
			next = earliest(next, q.end(it))
		}
		if it.due.After(now) {
			next = earliest(next, it.due)
		} else {
			ready = append(ready, it)
		}
	}
	if s.is(servesLastFirst) {
		slices.Reverse(ready)
	}
	return ready, next
}

func (q *line) sorted() []*item {
	return slices.SortedFunc(slices.Values(q.items), func(a, b *item) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.seq, b.seq))
	})
}

func (s *reference) lingerFrom(q *line, ready []*item, start time.Time) time.Time {
	switch first, last := ready[0].due, ready[len(ready)-1].due; s.defect {
	case lingersFromLast:
		return latest(last, q.lastLease)
	case lingersFromCall:
		return latest(start, first)
	case lingersFromFirst:
		return first
	default:
		return latest(first, q.lastLease)
	}
}

func (s *reference) take(q *line, ready []*item, c store.Claim, now time.Time, buf []store.Delivery) []store.Delivery {
	token, size, before := rand.Text(), 0, len(buf)
	for _, it := range ready {
		size += len(it.Body)
		if len(buf)-before == c.Max || c.Bytes > 0 && size > c.Bytes && len(buf) > before {
			break
		}
		if it.lease == "" || !s.is(expiryIsFree) {
			it.attempts++
		}
		it.lease, it.due = fmt.Sprintf("%d.%s", it.seq, token), s.after(now, c.Visibility)
		buf = append(buf, it.delivery(store.Lease(it.lease)))
	}
	if len(buf) > before {
		q.lastLease = now
	}
	return buf
}

func (it *item) delivery(lease store.Lease) store.Delivery {
	m := it.Message
	m.Body, m.Headers = fresh(m.Body), fresh(m.Headers)
	return store.Delivery{Message: m, Lease: lease, Attempts: it.attempts, Sent: it.sent}
}

func (s *reference) Settle(ctx context.Context, queue string, outcomes []store.Outcome) (lost []int, err error) {
	q, now, err := s.enter(ctx, queue)
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		if to := s.queues[o.To]; o.Verb == store.Move && (to == nil || to.Deleted) && !s.is(movesIntoNowhere) {
			return nil, store.ErrQueueNotFound
		}
	}
	for i, o := range outcomes {
		if it := s.find(q, o, now); it == nil {
			lost = append(lost, i)
		} else {
			s.settle(q, it, o, now)
		}
	}
	s.announce(settlesSilently)
	return lost, nil
}

// find is the item that an outcome is for, if its lease or reference holds.
func (s *reference) find(q *line, o store.Outcome, now time.Time) *item {
	seq, _, whole := strings.Cut(string(o.Lease), ".")
	_, ref, _ := strings.Cut(string(o.Lease), "peek:")
	for _, it := range q.items {
		taken := !it.leased(now) && (o.Verb == store.Ack || o.Verb == store.Move || s.is(takesReferencesForAll))
		switch {
		case strings.HasSuffix(ref, fmt.Sprintf(":%020d", it.seq)) && (taken || s.is(takesReferencesOfLeased)),
			o.Lease != "" && it.lease == string(o.Lease) && (it.leased(now) || !s.is(endsLeasesSharply)),
			!s.promised.Fenced && whole && seq == fmt.Sprint(it.seq):
			return it
		}
	}
	return nil
}

func (s *reference) settle(q *line, it *item, o store.Outcome, now time.Time) {
	remove := func() { q.items = slices.DeleteFunc(q.items, func(other *item) bool { return other == it }) }
	switch o.Verb {
	case store.Ack:
		remove()
	case store.Retry:
		it.lease, it.due = "", s.after(now, o.Delay)
	case store.Extend:
		it.due = s.after(now, o.Delay)
	case store.Release:
		it.lease, it.due = "", now
		if s.promised.Fenced {
			it.attempts--
		}
	case store.Move:
		remove()
		s.seq++
		it.seq, it.lease, it.due = s.seq, "", now
		if !s.is(movesAttempts) {
			it.attempts = 0
		}
		if o.Headers != nil {
			it.Headers = fresh(o.Headers)
		}
		if o.Renew {
			it.born = now
		}
		if to := s.queues[o.To]; to != nil {
			to.items = append(to.items, it)
		}
	}
}

// reference names the item, and its place in the order.
func (it *item) reference() store.Lease {
	return store.Lease(fmt.Sprintf("peek:%020d:%020d", it.due.UnixNano(), it.seq))
}

func (s *reference) Peek(ctx context.Context, queue string, after store.Lease, limit int) ([]store.Delivery, error) {
	q, now, err := s.enter(ctx, queue)
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var got []store.Delivery
	all := q.sorted()
	if s.is(forgetsCursors) && after != "" && !slices.ContainsFunc(all, func(it *item) bool { return it.reference() == after }) {
		return nil, nil
	}
	for _, it := range all {
		if len(got) < limit && it.reference() > after && !(it.leased(now) && s.promised.Fenced) {
			got = append(got, it.delivery(it.reference()))
		}
	}
	return got, nil
}

func (s *reference) Purge(ctx context.Context, queue string) error {
	q, now, err := s.enter(ctx, queue)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	q.items = slices.DeleteFunc(q.items, func(it *item) bool {
		delayed := it.lease == "" && now.Before(it.due)
		return (!it.leased(now) || s.is(purgesLeased)) && !(delayed && s.is(purgesReadyOnly))
	})
	return nil
}

func (s *reference) Stats(ctx context.Context, queue string) (store.Stats, error) {
	q, now, err := s.enter(ctx, queue)
	defer s.mu.Unlock()
	if err != nil {
		return store.Stats{}, err
	}
	return s.count(q, now), nil
}

func (s *reference) count(q *line, now time.Time) store.Stats {
	st := store.Stats{Expired: q.expired, ExpiredBytes: q.expiredBytes}
	for _, it := range q.items {
		st.Messages++
		st.Bytes += int64(len(it.Body))
		if it.leased(now) {
			st.Leased++
		} else if now.Before(it.due) {
			st.Delayed++
		}
		st.Oldest = earliest(st.Oldest, it.sent)
	}
	if s.blind {
		st.Leased, st.Delayed, st.Oldest = -1, -1, time.Time{}
	}
	return st
}

func (s *reference) Guarantee() store.Guarantee { return s.promised }

func (s *reference) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.announce(closesSilently)
	}
	return nil
}
