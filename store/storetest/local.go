package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/inproq/inproq/store"
)

// throughLocal makes a harness whose stores do through inlets and outlets what can be
// done through them.
func (h Harness) throughLocal() Harness {
	plain := h
	h.Open = func(tb testing.TB) store.Store { return newLocalStore(plain.Open(tb)) }
	if plain.Reopen != nil {
		h.Reopen = func(tb testing.TB, old store.Store) store.Store {
			return newLocalStore(plain.Reopen(tb, old.(*localStore).Store))
		}
	}
	return h
}

// A localStore keeps inlets and outlets, as who uses them would.
type localStore struct {
	store.Store
	local store.Local

	mu      sync.Mutex
	inlets  map[string]any // the values are of type store.Inlet
	outlets map[string]any // store.Outlet
}

func newLocalStore(s store.Store) *localStore {
	return &localStore{
		Store: s, local: s.(store.Local),
		inlets: map[string]any{}, outlets: map[string]any{},
	}
}

func (s *localStore) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	if len(msgs) != 1 || msgs[0].Delay > 0 || len(msgs[0].Headers) > 0 || ctx.Err() != nil {
		return s.Store.Enqueue(ctx, queue, msgs)
	}
	var r store.Receipt
	m := &msgs[0]
	err := s.throughInlet(queue, func(in store.Inlet) (err error) {
		r, err = in.Send(ctx, m.ID, m.Body, m.ContentType, s.local.Now())
		return err
	})
	if err != nil {
		return store.Stats{}, err
	}
	st := store.Stats{Messages: r.Messages, Bytes: r.Bytes, Delayed: -1, Leased: -1, Expired: -1, ExpiredBytes: -1}
	if r.Oldest != 0 {
		st.Oldest = time.Unix(0, r.Oldest)
	}
	return st, nil
}

func (s *localStore) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	if ctx.Err() != nil {
		return s.Store.Lease(ctx, queue, c, buf)
	}
	err := s.throughOutlet(queue, func(out store.Outlet) (err error) {
		buf, err = out.Lease(ctx, &c, buf, new(store.Stats))
		return err
	})
	return buf, err
}

func (s *localStore) Settle(ctx context.Context, queue string, outcomes []store.Outcome) (lost []int, err error) {
	ds := make([]store.Delivery, len(outcomes))
	for i := range outcomes {
		if outcomes[i].Verb != store.Ack {
			return s.Store.Settle(ctx, queue, outcomes)
		}
		ds[i].Lease = outcomes[i].Lease
	}
	if ctx.Err() != nil {
		return s.Store.Settle(ctx, queue, outcomes)
	}
	err = s.throughOutlet(queue, func(out store.Outlet) (err error) {
		lost, _, err = out.Ack(ctx, ds)
		return err
	})
	return lost, err
}

// through calls use with the kept way into or out of a queue, or with a new one if there
// is none or its queue is gone.
func (s *localStore) through(queue string, kept map[string]any, open func() (any, error), use func(way any) error) error {
	s.mu.Lock()
	way, ok := kept[queue]
	s.mu.Unlock()
	if ok {
		if err := use(way); !errors.Is(err, store.ErrQueueNotFound) {
			return err
		}
	}
	way, err := open()
	if err != nil {
		return err
	}
	s.mu.Lock()
	kept[queue] = way
	s.mu.Unlock()
	return use(way)
}

func (s *localStore) throughInlet(queue string, use func(store.Inlet) error) error {
	return s.through(queue, s.inlets,
		func() (any, error) { return s.local.Inlet(queue) },
		func(way any) error { return use(way.(store.Inlet)) })
}

func (s *localStore) throughOutlet(queue string, use func(store.Outlet) error) error {
	return s.through(queue, s.outlets,
		func() (any, error) { return s.local.Outlet(queue) },
		func(way any) error { return use(way.(store.Outlet)) })
}
