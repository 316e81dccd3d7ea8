package memory

import (
	"context"
	"sync/atomic"

	"github.com/inproq/inproq/store"
)

// Now is the time in nanoseconds since 1970.
func (s *Store) Now() int64 { return s.unix + s.now() }

// An inlet is one sender's way into a queue. Its counts are apart from each
// other like the shards, and each is guarded by its shard.
type inlet struct {
	record *record
	way    atomic.Pointer[way] // nil before the first send
}

// A way is an inlet that is in use.
type way struct {
	q    *queue
	sent []count // by shard
}

type count struct {
	n, bytes int64
	_        [48]byte
}

// Inlet returns a new inlet of a queue.
func (s *Store) Inlet(name string) (store.Inlet, error) {
	r, err := s.record(name)
	if err == nil {
		_, err = r.used()
	}
	if err != nil {
		return nil, err
	}
	return &inlet{record: r}, nil
}

// Gone reports whether the queue was deleted, or the store closed.
func (in *inlet) Gone() bool {
	_, err := in.record.used()
	return err != nil
}

// Sent counts the messages that came in here.
func (in *inlet) Sent() int64 {
	n, _ := in.counts()
	return n
}

// SentBytes adds up their bodies.
func (in *inlet) SentBytes() int64 {
	_, bytes := in.counts()
	return bytes
}

func (in *inlet) counts() (n, bytes int64) {
	if w := in.way.Load(); w != nil {
		for i := range w.sent {
			sh := &(*w.q.inlets.Load())[i]
			sh.mu.Lock()
			n, bytes = n+w.sent[i].n, bytes+w.sent[i].bytes
			sh.mu.Unlock()
		}
	}
	return n, bytes
}

// Send accepts one message.
func (in *inlet) Send(ctx context.Context, id store.ID, body []byte, contentType string, now int64) (store.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return store.Receipt{}, err
	}
	w := in.way.Load()
	if w == nil {
		var err error
		if w, err = in.open(); err != nil {
			return store.Receipt{}, err
		}
	}
	q := w.q
	now -= q.store.unix
	sh := q.freeShard()
	if sh.over != nil {
		sh.mu.Unlock()
		return store.Receipt{}, sh.over
	}
	w.sent[sh.index].n++
	w.sent[sh.index].bytes += int64(len(body))
	sh.last = max(sh.last, now)
	s := sh.list.push(&q.store.chunks)
	if ctype, ok := commonType(contentType); ok {
		s.fresh(id, sh.last, ctype)
		s.setFrame(sh.w.writeBody(&q.arena, body))
	} else {
		fillSlot(s, &store.Message{ID: id, Body: body, ContentType: contentType}, sh.last, &sh.w, &q.arena)
	}
	return q.accepted(sh, 1, int64(len(body)), now), nil
}

// open gets the inlet ready for its first send.
func (in *inlet) open() (*way, error) {
	q, err := in.record.open()
	if err != nil {
		return nil, err
	}
	q.openFirst()
	in.way.CompareAndSwap(nil, &way{q: q, sent: make([]count, q.store.shards)})
	return in.way.Load(), nil
}
