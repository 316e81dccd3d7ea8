package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

var watchChecks = []check{
	{
		name:        "List",
		explanation: "with after zero, Queues lists all queues in the order of revisions and no tombstones, and the newest revision",
		run: func(t *trial) {
			t.create("a", "b", "c", "d")
			t.edit("a", func(q *store.Queue) { q.Paused = true })
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "b"))
			all, newest, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues", err)
			t.names(all, "c", "d", "a")
			t.record(all[2], t.records["a"])
			if newest <= t.records["a"].Revision {
				t.Fatalf("the newest revision is %d, want that of the deletion, after %d", newest, t.records["a"].Revision)
			}
		},
	},
	{
		name:        "ListNothing",
		explanation: "with wait zero Queues does not wait, and lists nothing when there is nothing",
		run: func(t *trial) {
			all, newest, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues of an empty store", err)
			t.names(all)
			t.create("q")
			if _, after, _ := t.store.Queues(t.ctx, 0, 0); after <= newest {
				t.Fatalf("the newest revision is %d after the first queue was created, %d before", after, newest)
			}
		},
	},
	{
		name:        "Changes",
		explanation: "with the revision of an earlier call, Queues lists what changed since, deletions as tombstones",
		run: func(t *trial) {
			t.create("a", "b", "c")
			_, r, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues", err)
			t.edit("b", func(q *store.Queue) { q.Settings = []byte("new") })
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "a"))
			t.create("d")
			changes, newest, err := t.store.Queues(t.ctx, r, 0)
			t.ok("Queues", err)
			t.names(changes, "b", "a", "d")
			if !changes[1].Deleted || changes[0].Deleted || changes[2].Deleted {
				t.Fatalf("of %s only the second was deleted", describe(changes[1]))
			}
			t.record(changes[0], t.records["b"])
			t.record(changes[2], t.records["d"])
			if newest != t.records["d"].Revision {
				t.Fatalf("the newest revision is %d, want %d", newest, t.records["d"].Revision)
			}
			changes, again, err := t.store.Queues(t.ctx, newest, 0)
			t.ok("Queues", err)
			t.names(changes)
			if again != newest {
				t.Fatalf("the newest revision went from %d to %d, and nothing has changed", newest, again)
			}
		},
	},
	{
		name:        "MessagesAreNoChange",
		explanation: "Queues lists the records that changed; traffic changes none",
		run: func(t *trial) {
			t.create("q")
			_, r, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues", err)
			t.send("q", msgs("a", "b")...)
			t.ack("q", t.one("q"))
			t.purge("q")
			changes, _, err := t.store.Queues(t.ctx, r, 0)
			t.ok("Queues", err)
			t.names(changes)
		},
	},
	{
		name:        "Wait",
		explanation: "when nothing has changed, Queues waits for the first change",
		run: func(t *trial) {
			t.create("old", "q")
			for _, change := range []struct {
				name string
				make func()
			}{
				{"new", func() { t.create("new") }},
				{"q", func() { t.edit("q", func(q *store.Queue) { q.Paused = true }) }},
				{"old", func() { t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "old")) }},
			} {
				_, r, err := t.store.Queues(t.ctx, 0, 0)
				t.ok("Queues", err)
				p, changes := t.watches(r, -1)
				t.pass(t.unit)
				t.blocked(p)
				change.make()
				t.result(p)
				t.names(*changes, change.name)
			}
		},
	},
	{
		name:        "WaitPasses",
		explanation: "Queues waits up to wait, and then returns without records and without an error",
		run: func(t *trial) {
			t.create("q")
			r := t.records["q"].Revision
			start := time.Now()
			changes, newest, err := t.store.Queues(t.ctx, r, t.unit)
			t.ok("Queues", err)
			t.names(changes)
			if took := time.Since(start); took < t.unit || took > t.unit+t.late {
				t.Fatalf("Queues waited %v, want %v", took, t.unit)
			}
			if newest != r {
				t.Fatalf("the newest revision is %d, want %d", newest, r)
			}
		},
	},
	{
		name:        "WaitEnds",
		explanation: "Queues ends when ctx does, with its error",
		run: func(t *trial) {
			t.create("q")
			p, _ := t.watches(t.records["q"].Revision, -1)
			t.pass(t.unit)
			t.blocked(p)
			p.cancel()
			t.ends(p, context.Canceled)
		},
	},
	{
		name:        "Replay",
		explanation: "revisions come in commit order: whoever applies what Queues returns, call by call, misses no change",
		run: func(t *trial) {
			const writers, each = 6, 12
			ctx, stop := context.WithCancel(t.ctx)
			defer stop()
			var all sync.WaitGroup
			errs := make([]error, writers+1)
			for w := range writers {
				all.Go(func() { errs[w] = churn(t.ctx, t.store, fmt.Sprint("q", w), each) })
			}
			replayed := map[string]store.Queue{}
			var watcher sync.WaitGroup
			watcher.Go(func() { errs[writers] = replay(ctx, t.store, replayed) })
			all.Wait()
			t.create("last")
			watcher.Wait()
			for _, err := range errs {
				t.ok("a writer or the watcher", err)
			}
			now, _, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues", err)
			got := slices.Collect(maps.Values(replayed))
			slices.SortFunc(got, func(a, b store.Queue) int { return cmp.Compare(a.Revision, b.Revision) })
			t.names(got, names(now)...)
			for i := range got {
				t.record(got[i], now[i])
			}
		},
	},
}

// watches is a call of Queues in the background, and what it lists.
func (t *trial) watches(after uint64, wait time.Duration) (*pending, *[]store.Queue) {
	changes := new([]store.Queue)
	return t.later(func(ctx context.Context) ([]store.Delivery, error) {
		var err error
		*changes, _, err = t.store.Queues(ctx, after, wait)
		return nil, err
	}), changes
}

// churn creates, replaces and deletes a queue, over and over, and leaves it there.
func churn(ctx context.Context, s store.Store, name string, times int) error {
	for range times {
		q, err := s.PutQueue(ctx, store.Queue{Name: name})
		if err == nil {
			_, err = s.PutQueue(ctx, q)
		}
		if err == nil {
			err = s.DeleteQueue(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	_, err := s.PutQueue(ctx, store.Queue{Name: name})
	return err
}

// replay applies the feed of a store to queues until it has seen the queue "last".
func replay(ctx context.Context, s store.Store, queues map[string]store.Queue) error {
	var after uint64
	for {
		changes, newest, err := s.Queues(ctx, after, -1)
		if err != nil {
			return err
		}
		if newest < after {
			return fmt.Errorf("the newest revision went from %d to %d", after, newest)
		}
		for _, q := range changes {
			if q.Revision <= after || q.Revision > newest {
				return fmt.Errorf("revision %d is listed after %d, and %d is the newest", q.Revision, after, newest)
			}
			if q.Deleted {
				delete(queues, q.Name)
			} else {
				queues[q.Name] = q
			}
		}
		if _, ok := queues["last"]; ok {
			return nil
		}
		after = newest
	}
}

func names(queues []store.Queue) []string {
	all := make([]string, len(queues))
	for i, q := range queues {
		all[i] = q.Name
	}
	return all
}

// names ends the case unless queues have these names, in this order.
func (t *trial) names(queues []store.Queue, want ...string) {
	t.Helper()
	if got := names(queues); !slices.Equal(got, want) {
		t.Fatalf("Queues lists %q, want %q", got, want)
	}
}
