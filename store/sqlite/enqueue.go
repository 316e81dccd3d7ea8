package sqlite

import (
	"context"

	"github.com/inproq/inproq/store"
)

// Enqueue adds messages, and returns when the disk has them.
func (s *Store) Enqueue(ctx context.Context, name string, msgs []store.Message) (store.Stats, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return store.Stats{}, err
	}
	o := &enqueue{q: q, msgs: msgs}
	o.rows = len(msgs)
	for i := range msgs {
		o.size += len(msgs[i].Body) + len(msgs[i].Headers)
	}
	if err := s.submit(ctx, o); err != nil {
		return store.Stats{}, err
	}
	return o.before, nil
}

type enqueue struct {
	opHead
	q      *queue
	msgs   []store.Message
	first  int64 // seq
	before store.Stats
}

func (o *enqueue) plan(g *group) error {
	c, err := g.change(o.q)
	if err != nil {
		return err
	}
	o.q.mu.Lock()
	o.before = o.q.stats()
	o.q.mu.Unlock()
	o.before.Messages, o.before.Bytes = c.messages, c.bytes
	o.first = c.next
	for i := range o.msgs {
		m := &o.msgs[i]
		a := addition{m: m, seq: c.next, sent: g.now}
		if m.Delay > 0 {
			a.due = after(g.now, m.Delay)
		}
		c.added = append(c.added, a)
		c.next++
		c.messages++
		c.bytes += int64(len(m.Body))
		c.dirty = true
	}
	return nil
}

func (o *enqueue) undo()  {}
func (o *enqueue) abort() {}

func (o *enqueue) apply(g *group) {
	q := o.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range o.msgs {
		due := int64(0)
		if d := o.msgs[i].Delay; d > 0 {
			due = after(g.now, d)
		}
		q.gain(o.first+int64(i), due, g.now)
	}
	if len(o.msgs) > 0 && o.before.Messages == 0 {
		q.oldest = g.now
	}
}

// gain notes that a message was added that is due then, 0: at once. The caller holds mu.
func (q *queue) gain(seq, due, now int64) {
	q.expiry = min(q.expiry, q.expires(now))
	if due > now {
		q.delay(seq, due, now)
		return
	}
	if q.fresh == 0 {
		q.freshSince = now
	}
	q.fresh++
}
