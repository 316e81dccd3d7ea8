package faulttest

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// load uses a store from many goroutines and keeps the ledger.
type load struct {
	s     store.Store
	books *ledger
	size  int     // bodies are no larger
	fault bool    // errors are expected
	log   *sql.DB // makes checkpoints; nil: only the store does
	stop  chan struct{}
	once  sync.Once
	all   sync.WaitGroup

	mu  sync.Mutex
	err error // the first that is none of stopping
}

// start starts 16 senders, 4 consumers and others.
func (l *load) start(seed uint64) {
	l.stop = make(chan struct{})
	for i := range uint64(16) {
		l.run(seed, i, l.send)
	}
	for i := range uint64(4) {
		l.run(seed, 100+i, l.consume)
	}
	l.run(seed, 200, l.purge)
	if l.log != nil {
		l.run(seed, 300, l.checkpoint)
	}
}

// run repeats a step until the end of the load.
func (l *load) run(seed, i uint64, step func(chance *rand.Rand) error) {
	chance := rand.New(rand.NewPCG(seed, i))
	l.all.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			if err := step(chance); err != nil && !l.fault {
				l.fail(err)
				return
			}
		}
	})
}

// fail ends the load early.
func (l *load) fail(err error) {
	l.mu.Lock()
	l.err = errors.Join(l.err, err)
	l.mu.Unlock()
	l.once.Do(func() { close(l.stop) })
}

// end ends the load and waits for that.
func (l *load) end(t testing.TB) {
	t.Helper()
	l.once.Do(func() { close(l.stop) })
	l.all.Wait()
	require.NoError(t, l.err)
}

// send sends one message, or several.
func (l *load) send(chance *rand.Rand) error {
	queue, count := first, 1
	if chance.IntN(6) == 0 {
		queue = scratch
	}
	if chance.IntN(3) == 0 {
		count = 2 + chance.IntN(20)
	}
	msgs := newMessages(count, l.size)
	switch chance.IntN(8) {
	case 0:
		msgs[0].Delay = forever
	case 1:
		msgs[count-1].Delay = time.Millisecond
	}
	return l.enqueue(queue, msgs)
}

func (l *load) enqueue(queue string, msgs []store.Message) error {
	ids := l.books.sending(queue, msgs)
	if _, err := l.s.Enqueue(context.Background(), queue, msgs); err != nil {
		l.refused(ids, err)
		return err
	}
	l.books.confirm(ids, func(e *entry) { e.sent = true })
	return nil
}

// refused notes a send that failed: nothing of it is there, unless the store cannot know.
func (l *load) refused(ids []store.ID, err error) {
	if !errors.Is(err, store.ErrUnavailable) {
		l.books.change(ids, func(e *entry) { e.leaving, e.gone = true, true })
	}
}

// purge purges scratch, when some messages were confirmed in the meantime.
func (l *load) purge(chance *rand.Rand) error {
	if !l.pause(chance) {
		return nil
	}
	there := l.books.purge()
	err := l.s.Purge(context.Background(), scratch)
	if err != nil {
		there = nil
	}
	l.books.purged(there)
	return err
}

// checkpoint makes a checkpoint, as another program that looks into the file does.
func (l *load) checkpoint(chance *rand.Rand) error {
	if !l.pause(chance) {
		return nil
	}
	_, err := l.log.Exec("PRAGMA wal_checkpoint(PASSIVE)")
	return err
}

// pause waits some milliseconds, or reports that the load ends.
func (l *load) pause(chance *rand.Rand) bool {
	timer := time.NewTimer(time.Duration(1+chance.IntN(8)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-l.stop:
		return false
	case <-timer.C:
		return true
	}
}

// consume takes some messages and settles them.
func (l *load) consume(chance *rand.Rand) error {
	queue, visibility := first, forever
	if chance.IntN(3) == 0 {
		queue = second
	}
	if chance.IntN(4) == 0 {
		visibility = time.Millisecond
	}
	claim := store.Claim{Max: 1 + chance.IntN(32), Visibility: visibility, Wait: time.Millisecond}
	taken, err := l.s.Lease(context.Background(), queue, claim, nil)
	if err != nil || len(taken) == 0 {
		return err
	}
	if err := l.books.taken(taken, visibility == forever); err != nil {
		l.fail(err)
		return err
	}
	byVerb := map[store.Verb][]store.Delivery{}
	for _, d := range taken {
		verb := verbs[chance.IntN(len(verbs))]
		byVerb[verb] = append(byVerb[verb], d)
	}
	for verb, ds := range byVerb {
		if err := l.settle(queue, verb, ds, chance); err != nil {
			return err
		}
	}
	return nil
}

// verbs are drawn from.
var verbs = []store.Verb{store.Ack, store.Ack, store.Ack, store.Ack, store.Retry, store.Retry, store.Move, store.Extend, store.Release}
