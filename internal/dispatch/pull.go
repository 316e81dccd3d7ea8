package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// A Pulled batch is settled by who holds it: whenever it likes, and piece by piece.
// What is not decided stays leased.
type Pulled struct {
	Batch
	settler    *Settler
	at         time.Time // of the pull
	visibility time.Duration

	states   sync.Mutex
	state    []pulledState
	extended bool // so its holder knows that the visibility does not do
}

type pulledState uint8

const (
	held     pulledState = iota // by whoever pulled it
	missed                      // by an Extend: its lease is lost, which Settle has yet to tell
	settling                    // by a call that is under way
	done                        // settled, or its lease is lost
)

// Pull leases messages for a holder, as c says; those without an attempt left go to
// the dead-letter queue instead. A batch without messages means that there are none. The
// caller begins the batch, or releases it.
func (s *Settler) Pull(ctx context.Context, p *Settings, c store.Claim) (*Pulled, error) {
	var found []store.Delivery
	for {
		var err error
		found, err = s.Store.Lease(ctx, s.Queue, c, found[:0])
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			s.Counters.EmptyPulls.Add(1)
			s.Counters.ReadOps.Add(1)
			s.Counters.Minutes.Add(&Activity{Now: time.Now(), Way: ByPull, Reads: Ops{Units: 1}})
			break
		}
		if found, _ = s.bury(context.WithoutCancel(ctx), p, found); len(found) > 0 {
			break
		}
	}
	s.Counters.Pulls.Add(1)
	b := &Pulled{settler: s, at: time.Now(), visibility: c.Visibility, state: make([]pulledState, len(found))}
	b.Deliveries, b.settings, b.log, b.counters = found, p, s.Log, s.Counters
	b.observer, b.watched, b.over = s.Observer, s.Observer.Watched(), b.isDone
	b.Init(len(found))
	return b, nil
}

// Begin does the books of a batch that goes to its holder.
func (b *Pulled) Begin(ctx context.Context) {
	s := b.settler
	if len(b.Deliveries) > 0 {
		b.sum = surveyOf(b.Deliveries)
		s.Counters.Delivered.Add(uint64(len(b.Deliveries)))
		s.Counters.ReadOps.Add(b.sum.units)
		s.Counters.Lag.Store(int64(b.at.Sub(b.sum.first)))
	}
	st, err := s.Store.Stats(ctx, s.Queue)
	if n := len(b.Deliveries); n > 0 {
		a := Activity{Now: b.at, Way: ByPull, Reads: b.sum.ops(n, b.at)}
		a.sample(err == nil, &st)
		s.Counters.Minutes.Add(&a)
	}
	if err == nil { // only shown: best effort
		if b.watched.Has(Counted) {
			s.Observer.Observe(Happening{Kind: Counted, Count: st.Expired, Size: st.ExpiredBytes})
		}
		b.Backlog = remaining(st, len(b.Deliveries), &b.sum)
	}
	observeDelivered(s.Observer, b.watched, b.Deliveries)
}

// Release gives a batch back that nobody has seen.
func (b *Pulled) Release(ctx context.Context) {
	list := make([]store.Outcome, len(b.Deliveries))
	for i := range list {
		list[i] = store.Outcome{Lease: b.Deliveries[i].Lease, Verb: store.Release}
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	_, _, _ = b.settler.apply(ctx, list) // logged there
}

// Settle settles what is decided and was not settled before. It returns the indexes
// of messages whose leases are lost: others hold them, or they are gone. When it
// fails it may be called again.
func (b *Pulled) Settle(ctx context.Context) (t Tally, lost []int, err error) {
	s := b.settler
	r := ruling{watched: b.watched, at: beginning(b.watched), now: time.Now(), returned: true}
	which := make([]int, 0, len(b.state))
	retries := make(map[int]settlement.Verdict) // by place in which
	b.states.Lock()
	extended := b.extended
	for i := range b.state {
		if b.state[i] > missed {
			continue
		}
		v, decided := b.Verdict(i)
		if !decided {
			continue
		}
		if v.Retry {
			retries[len(which)] = v
		}
		b.state[i] = settling
		which = append(which, i)
	}
	b.states.Unlock()
	if len(which) == 0 {
		return Tally{}, nil, nil
	}
	ds := b.Deliveries
	if len(which) < len(ds) {
		ds = make([]store.Delivery, len(which))
		for k, i := range which {
			ds[k] = b.Deliveries[i]
		}
	} else {
		r.sum = &b.sum
	}
	r.list = make([]store.Outcome, 0, len(ds))
	for k := range ds {
		if v, ok := retries[k]; ok {
			s.retry(&r, b.settings, &ds[k], v)
		} else {
			r.ack(ds[k].Lease)
		}
	}
	gone, unsure, err := s.insist(ctx, r.list)
	next := done
	if err != nil {
		next = held
	} else {
		r.unsure = unsure
		t = s.account(ds, &r, gone)
		s.Counters.Minutes.Add(&Activity{Now: r.now, Way: ByPull, Outs: r.outs})
		if !extended {
			b.noteHeld(time.Since(b.at))
		}
	}
	b.states.Lock()
	defer b.states.Unlock()
	for _, i := range which {
		b.state[i] = next
	}
	for _, k := range gone {
		lost = append(lost, which[k])
	}
	return t, lost, err
}

// noteHeld keeps how long a batch was held, and tells if that was too long.
func (b *Pulled) noteHeld(d time.Duration) {
	noteMax(&b.settler.Counters.Held, int64(d))
	if d > b.visibility {
		b.settler.Observer.Observe(Happening{Kind: Overdue})
	}
}

// isDone reports whether message i is settled, or its lease lost.
func (b *Pulled) isDone(i int) bool {
	b.states.Lock()
	defer b.states.Unlock()
	return b.state[i] == done
}

// Extend keeps the leases on what is not settled for d from now. It returns the
// indexes of messages whose leases are lost.
func (b *Pulled) Extend(ctx context.Context, d time.Duration) (lost []int, err error) {
	var which []int
	var list []store.Outcome
	b.states.Lock()
	b.extended = true
	for i := range b.state {
		if b.state[i] == held {
			which = append(which, i)
			list = append(list, store.Outcome{Lease: b.Deliveries[i].Lease, Verb: store.Extend, Delay: d})
		}
	}
	b.states.Unlock()
	if len(list) == 0 {
		return nil, nil
	}
	gone, _, err := b.settler.insist(ctx, list)
	b.states.Lock()
	defer b.states.Unlock()
	for _, k := range gone {
		if i := which[k]; b.state[i] == held { // else a Settle was faster
			b.state[i] = missed
			lost = append(lost, i)
		}
	}
	return lost, err
}

// insist is try with a bound.
func (s *Settler) insist(ctx context.Context, list []store.Outcome) (lost []int, unsure bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return s.try(ctx, list)
}

// Settle settles outcomes that need no policy. A store that is unavailable is asked
// again, for about ten seconds; then it reports unsure: what is lost may have been settled.
func (s *Settler) Settle(ctx context.Context, list []store.Outcome) (lost []int, unsure bool, err error) {
	lost, err = s.Store.Settle(ctx, s.Queue, list)
	if errors.Is(err, store.ErrUnavailable) {
		lost, _, err = s.insist(ctx, list)
		unsure = true
	}
	return lost, unsure, err
}

// A Holding is a message that somebody holds, as far as the bearer of its lease
// knows it.
type Holding struct {
	store.Delivery        // without its body
	Size           uint64 // bytes of its body
	HeadersUnknown bool
}

// A Decision is what the bearer of a lease wants.
type Decision struct {
	Holding
	Verdict settlement.Verdict
	Extend  time.Duration // instead of the verdict, unless zero
}

// SettleHeld settles messages by their leases alone. It returns the indexes of
// decisions whose leases are lost.
func (s *Settler) SettleHeld(ctx context.Context, p *Settings, decisions []Decision) (t Tally, lost []int, err error) {
	if len(decisions) == 0 {
		return Tally{}, nil, nil
	}
	watched := s.Observer.Watched()
	r := ruling{watched: watched, at: beginning(watched), now: time.Now(), returned: true}
	ds := make([]store.Delivery, len(decisions))
	for i := range decisions {
		x := &decisions[i]
		ds[i] = x.Delivery
		r.sizes = append(r.sizes, x.Size)
		switch {
		case x.Extend > 0:
			r.list = append(r.list, store.Outcome{Lease: x.Lease, Verb: store.Extend, Delay: x.Extend})
		case !x.Verdict.Retry:
			r.ack(x.Lease)
		case x.HeadersUnknown && x.Attempts > p.MaxRetries:
			// The settings have changed since the pull. A dead letter needs its headers:
			// the next pull, which has them, finds the message spent.
			r.list = append(r.list, store.Outcome{Lease: x.Lease, Verb: store.Retry})
		default:
			s.retry(&r, p, &ds[i], x.Verdict)
		}
	}
	if lost, r.unsure, err = s.insist(ctx, r.list); err != nil {
		return Tally{}, nil, err
	}
	t = s.account(ds, &r, lost)
	s.Counters.Minutes.Add(&Activity{Now: r.now, Way: ByPull, Outs: r.outs})
	return t, lost, nil
}
