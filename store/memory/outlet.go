package memory

import (
	"context"

	"github.com/inproq/inproq/store"
)

// Outlet returns an outlet of a queue, which is the queue itself: its exported methods.
func (s *Store) Outlet(name string) (store.Outlet, error) {
	q, err := s.queue(context.Background(), name)
	if err != nil {
		return nil, err
	}
	return q, nil
}

// Ack acknowledges what was leased.
func (q *queue) Ack(ctx context.Context, ds []store.Delivery) (lost []int, st store.Stats, err error) {
	if err := ctx.Err(); err != nil {
		return nil, store.Stats{}, err
	}
	whole := isWhole(ds)
	q.mu.Lock()
	defer q.unlock()
	if q.over != nil {
		return nil, store.Stats{}, q.over
	}
	if !whole || !q.ackWhole(ds[0].Lease, int32(len(ds))) {
		x := settling{q: q, now: q.store.now()}
		for i := range ds {
			if !x.apply(&store.Outcome{Lease: ds[i].Lease, Verb: store.Ack}) {
				lost = append(lost, i)
			}
		}
		x.flush()
	}
	q.collectSome()
	return lost, q.stats(), nil
}

// isWhole reports whether messages are the first ones of one lease, in their order
// and none left out.
func isWhole(ds []store.Delivery) bool {
	if len(ds) == 0 || len(ds[0].Lease) != leaseSize {
		return false
	}
	lease, _, tag := parts(ds[0].Lease)
	for i := range ds {
		l := ds[i].Lease
		if len(l) != leaseSize || le64(l) != uint64(inRun|uint32(i))<<32|uint64(lease) || le64(l[8:]) != tag {
			return false
		}
	}
	return true
}

// ackWhole acknowledges the n messages of a lease. It reports false, and has done
// nothing, unless all that the lease has ever had are still where they were leased.
func (q *queue) ackWhole(l store.Lease, n int32) bool {
	id, _, tag := parts(l)
	if id == 0 || int(id) >= len(q.leases.all) {
		return false
	}
	r := &q.leases.all[id]
	if r.tag != tag || r.held != n || r.refs != n || len(r.entries) > 0 {
		return false
	}
	if last := &r.runs[len(r.runs)-1]; last.pos+last.n != n {
		return false
	}
	bytes := int64(0)
	for i := range r.runs {
		x := &r.runs[i]
		slots := x.c.slots[x.at : x.at+x.n]
		for k := range slots {
			s := &slots[k]
			bytes += q.bodySize(s)
			q.dropped.drop(s.frame())
			s.flags |= dead
		}
		x.lane.buried(x.c, x.n)
		x.c, x.left = nil, 0
	}
	q.gone(int64(n), bytes)
	q.loosen(id, n, n)
	return true
}
