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
	inlets  map[string]store.Inlet
	outlets map[string]store.Outlet
}

func newLocalStore(s store.Store) *localStore {
	return &localStore{
		Store: s, local: s.(store.Local),
		inlets: map[string]store.Inlet{}, outlets: map[string]store.Outlet{},
	}
}

func (s *localStore) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	if len(msgs) != 1 || msgs[0].Delay > 0 || len(msgs[0].Headers) > 0 || ctx.Err() != nil {
		return s.Store.Enqueue(ctx, queue, msgs)
	}
	var r store.Receipt
	m := &msgs[0]
	err := with(s, queue, s.inlets, s.local.Inlet, func(in store.Inlet) (err error) {
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
	err := with(s, queue, s.outlets, s.local.Outlet, func(out store.Outlet) (err error) {
		buf, _, err = out.Lease(ctx, c, buf)
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
	err = with(s, queue, s.outlets, s.local.Outlet, func(out store.Outlet) (err error) {
		lost, _, err = out.Ack(ctx, ds)
		return err
	})
	return lost, err
}

// with calls use with the kept way into or out of a queue, or with a new one if there
// is none or its queue is gone.
func with[T any](s *localStore, queue string, kept map[string]T, open func(string) (T, error), use func(T) error) error {
	s.mu.Lock()
	x, ok := kept[queue]
	s.mu.Unlock()
	if ok {
		if err := use(x); !errors.Is(err, store.ErrQueueNotFound) {
			return err
		}
	}
	x, err := open(queue)
	if err != nil {
		return err
	}
	s.mu.Lock()
	kept[queue] = x
	s.mu.Unlock()
	return use(x)
}
