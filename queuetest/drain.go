package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/testhook"
	"github.com/inproq/inproq/store"
)

const (
	drainLimit = 15 * 24 * time.Hour // longer than the longest retention by default
	drainLook  = time.Minute         // when to look again unasked: the end of a retention, for one, is told by nobody
	lastWords  = time.Second         // to say what is left, before the test's deadline
)

// Drain returns when the handlers of the broker have nothing left to do: no message is
// ready, delayed or leased in any queue that has a handler in this process, and all
// handlers have returned. Every [Observer] has been told by then what they did.
//
// In a synctest bubble time passes by itself meanwhile, as far as it has to and no
// further: batch timeouts, delays and retries of hours take no time. Without a bubble
// Drain really waits for them.
//
// Some messages it leaves, because nothing here would move them: those in queues
// without a handler in this process, also when they are pulled from; and those that
// wait in a queue that is paused.
//
// It gives up with t.Fatalf and a table of what is left after 15 days, without a
// bubble also a second before the test's deadline; when the broker is shut down; and
// after a minute if it was not started.
// Call it from the test's goroutine: a handler would wait for itself.
func Drain(t testing.TB, b *inproq.Broker) {
	t.Helper()
	limit := patience(t)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	d := drain{broker: b, wake: make(chan struct{}, 1)}
	err := d.run(ctx)
	switch {
	case err == nil:
	case errors.Is(err, errNotRunning):
		t.Fatalf("queuetest: not drained: %v\n%s", err, d.table())
	case ctx.Err() != nil:
		t.Fatalf("queuetest: not drained after %v:\n%s", limit, d.table())
	default:
		t.Fatalf("queuetest: not drained: %v", err)
	}
}

// errNotRunning ends the wait for a broker that nobody has started.
var errNotRunning = errors.New("the broker does not run; is a Start missing?")

// patience is how long to wait.
func patience(t testing.TB) (limit time.Duration) {
	x, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return drainLimit
	}
	defer func() {
		if recover() != nil { // as Deadline does in a bubble, where time is another
			limit = drainLimit
		}
	}()
	if at, ok := x.Deadline(); ok {
		return min(drainLimit, max(0, time.Until(at)-lastWords))
	}
	return drainLimit
}

// A drain is one call of Drain.
type drain struct {
	broker *inproq.Broker
	told   atomic.Int64  // events so far
	wake   chan struct{} // holds one signal
	left   []remainder   // as of the last look
}

// A remainder is what a queue has left to do.
type remainder struct {
	queue string
	inproq.Backlog
	running int  // handlers
	started bool // they may run
}

// rouse makes run look again.
func (d *drain) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *drain) run(ctx context.Context) error {
	stop := testhook.Tap(d.broker, func(any, *store.Message, bool) {
		d.told.Add(1)
		d.rouse()
	})
	defer stop()
	// Batches that run already may tell nothing when they end. Order: after Tap, since
	// those that begin from here on do.
	ctx, cancel := context.WithCancel(ctx)
	var before sync.WaitGroup
	before.Go(func() {
		_ = testhook.Idle(ctx, d.broker) // when ctx ends nobody waits
		d.rouse()
	})
	defer before.Wait()
	defer cancel()
	roused := true
	for {
		done, err := d.look(ctx)
		if done || err != nil {
			return err
		}
		// Run may be about to begin, but not for a whole while.
		if !roused && !slices.ContainsFunc(d.left, func(r remainder) bool { return r.started }) {
			return errNotRunning
		}
		if roused, err = d.sleep(ctx); err != nil {
			return err
		}
	}
}

// look reports whether nothing is left to do. Queues are asked one after another,
// while a message may go from one that is still to be asked to one that was: an answer
// holds if nothing was told meanwhile.
func (d *drain) look(ctx context.Context) (done bool, err error) {
	for {
		before := d.told.Load()
		left, err := d.ask(ctx)
		if err != nil {
			return false, err
		}
		if d.left = left; len(left) > 0 {
			return false, nil
		}
		// All is settled, but perhaps not all told.
		if err := testhook.Idle(ctx, d.broker); err != nil {
			return false, err
		}
		if d.told.Load() == before {
			return true, nil
		}
	}
}

// ask finds out what the queues have left.
func (d *drain) ask(ctx context.Context) (left []remainder, err error) {
	names, err := testhook.Handled(ctx, d.broker)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		info, err := d.broker.Queue(ctx, name)
		if err == nil {
			var bl inproq.Backlog
			var m inproq.Metrics
			bl, err = d.broker.Backlog(ctx, name)
			if err == nil && bl.Ready < 0 {
				m, err = d.broker.Metrics(ctx, name)
			}
			if err == nil && toDo(bl, m, info.DeliveryPaused) {
				st := d.broker.Stats(name)
				left = append(left, remainder{name, bl, st.Running, st.Limit > 0})
			}
		}
		if err != nil && !errors.Is(err, inproq.ErrQueueNotFound) { // deleted meanwhile
			return nil, err
		}
	}
	return left, nil
}

// toDo reports whether there is something to do; all are what is counted where the
// store does not say what it waits for. Nothing is to do in a queue that is paused; for its
// handlers that run look waits anyhow.
func toDo(bl inproq.Backlog, all inproq.Metrics, paused bool) bool {
	return !paused && (bl.Ready > 0 || bl.Delayed > 0 || bl.Leased > 0 || all.BacklogCount > 0)
}

// sleep waits until something has happened, or a while.
func (d *drain) sleep(ctx context.Context) (roused bool, err error) {
	timer := time.NewTimer(drainLook)
	defer timer.Stop()
	select {
	case <-d.wake:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// table shows what is left.
func (d *drain) table() string {
	if len(d.left) == 0 {
		return "a handler has not returned, though its batch is settled"
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "queue\tready\tdelayed\tleased\thandlers running")
	for _, r := range d.left {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", r.queue, r.Ready, r.Delayed, r.Leased, r.running)
	}
	_ = w.Flush()
	return b.String()
}
