package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

var recordChecks = []check{
	{
		name:        "Create",
		explanation: "PutQueue creates the queue when the revision is zero, and returns the record as stored",
		run: func(t *trial) {
			in := store.Queue{Name: "q", Paused: true, Retention: 3 * time.Hour, Settings: []byte("settings")}
			got := t.put(in)
			t.record(got, in)
			t.record(t.listed("q"), got)
		},
	},
	{
		name:        "CreateTwice",
		explanation: "PutQueue answers ErrConflict when the name is taken",
		run: func(t *trial) {
			t.create("q")
			_, err := t.store.PutQueue(t.ctx, store.Queue{Name: "q", Paused: true})
			t.fails("PutQueue of a taken name", err, store.ErrConflict)
			t.record(t.listed("q"), t.records["q"])
		},
	},
	{
		name:        "Replace",
		explanation: "PutQueue replaces the record with exactly the given revision",
		run: func(t *trial) {
			first := t.put(store.Queue{Name: "q", Settings: []byte("one"), Retention: time.Hour})
			second := first
			second.Settings, second.Paused, second.Retention = []byte("two"), true, 2*time.Hour
			second = t.put(second)
			if second.Revision <= first.Revision {
				t.Fatalf("revision %d follows %d, want it to increase", second.Revision, first.Revision)
			}
			t.record(t.listed("q"), second)
		},
	},
	{
		name:        "ReplaceStale",
		explanation: "PutQueue answers ErrConflict when the revision is not the current one, and does nothing",
		run: func(t *trial) {
			first := t.put(store.Queue{Name: "q", Settings: []byte("one")})
			second := t.put(store.Queue{Name: "q", Settings: []byte("two"), Revision: first.Revision})
			for _, revision := range []uint64{first.Revision, second.Revision + 1, 1 << 62} {
				_, err := t.store.PutQueue(t.ctx, store.Queue{Name: "q", Settings: []byte("three"), Revision: revision})
				t.fails(fmt.Sprintf("PutQueue with revision %d when it is %d", revision, second.Revision), err, store.ErrConflict)
			}
			t.record(t.listed("q"), second)
		},
	},
	{
		name:        "ReplaceMissing",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			_, err := t.store.PutQueue(t.ctx, store.Queue{Name: "q", Revision: 1})
			t.fails("PutQueue with a revision of a missing queue", err, store.ErrQueueNotFound)
			old := t.put(store.Queue{Name: "q"})
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			_, err = t.store.PutQueue(t.ctx, old)
			t.fails("PutQueue with the revision of a deleted queue", err, store.ErrQueueNotFound)
		},
	},
	{
		name:        "RevisionsIncrease",
		explanation: "revisions come from one counter for the whole store",
		run: func(t *trial) {
			var last uint64
			next := func(what string, revision uint64) {
				if revision <= last {
					t.Fatalf("%s got revision %d after %d, want it to increase", what, revision, last)
				}
				last = revision
			}
			next("creating a", t.put(store.Queue{Name: "a"}).Revision)
			next("creating b", t.put(store.Queue{Name: "b"}).Revision)
			next("replacing a", t.put(t.records["a"]).Revision)
			next("replacing b", t.put(t.records["b"]).Revision)
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "b"))
			_, revision, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues", err)
			next("deleting b", revision)
			next("creating b again", t.put(store.Queue{Name: "b"}).Revision)
			next("replacing a", t.put(t.records["a"]).Revision)
		},
	},
	{
		name:        "SettingsKept",
		explanation: "the store keeps the bytes of Settings",
		run: func(t *trial) {
			binary := make([]byte, 64<<10)
			for i := range binary {
				binary[i] = byte(i * 7)
			}
			for i, settings := range [][]byte{nil, {}, {0}, []byte(`{"json":true}`), binary} {
				name := "q" + strconv.Itoa(i)
				in := store.Queue{Name: name, Settings: settings}
				t.record(t.put(in), in)
				t.record(t.listed(name), in)
			}
		},
	},
	{
		name:        "SettingsCopied",
		explanation: "a store keeps none of its arguments after it returns, and what it returns belongs to the caller",
		run: func(t *trial) {
			in := store.Queue{Name: "q", Settings: []byte("settings")}
			want := store.Queue{Name: "q", Settings: []byte("settings")}
			out := t.put(in)
			in.Settings[0] = '!'
			t.record(t.listed("q"), want)
			out.Settings[0] = '!'
			t.record(t.listed("q"), want)
			t.listed("q").Settings[0] = '!'
			t.record(t.listed("q"), want)
		},
	},
	{
		name:        "CompareAndSet",
		explanation: "records are changed by compare-and-set: of several changes to one revision, one is applied",
		run: func(t *trial) {
			const writers, each = 8, 10
			t.put(store.Queue{Name: "q", Settings: []byte("0")})
			var errs [writers]error
			var revisions sync.Map
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					for range each {
						revision, err := t.increment("q")
						if _, taken := revisions.LoadOrStore(revision, true); taken && err == nil {
							err = fmt.Errorf("two changes got revision %d", revision)
						}
						if err != nil {
							errs[w] = err
							return
						}
					}
				})
			}
			all.Wait()
			for _, err := range errs {
				t.ok("a change by compare-and-set", err)
			}
			if got := string(t.listed("q").Settings); got != strconv.Itoa(writers*each) {
				t.Fatalf("after %d increments by compare-and-set the settings are %s", writers*each, got)
			}
		},
	},
	{
		name:        "DeleteMissing",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			t.fails("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"), store.ErrQueueNotFound)
			t.create("q")
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			t.fails("the second DeleteQueue", t.store.DeleteQueue(t.ctx, "q"), store.ErrQueueNotFound)
		},
	},
}

// record ends the case unless got says the same as want, which may lack the
// revision.
func (t *trial) record(got, want store.Queue) {
	t.Helper()
	if got.Name != want.Name || got.Paused != want.Paused || got.Deleted != want.Deleted ||
		got.Retention != want.Retention || !bytes.Equal(got.Settings, want.Settings) {
		t.Fatalf("the record is %s, want %s", describe(got), describe(want))
	}
	if got.Revision == 0 || want.Revision != 0 && got.Revision != want.Revision {
		t.Fatalf("the record has revision %d, want %d", got.Revision, want.Revision)
	}
}

func describe(q store.Queue) string {
	return fmt.Sprintf("{%q paused:%v deleted:%v retention:%v settings:%q revision:%d}",
		q.Name, q.Paused, q.Deleted, q.Retention, brief(q.Settings), q.Revision)
}

// listed is the record that Queues lists for a name.
func (t *trial) listed(name string) store.Queue {
	t.Helper()
	all, _, err := t.store.Queues(t.ctx, 0, 0)
	t.ok("Queues", err)
	i := slices.IndexFunc(all, func(q store.Queue) bool { return q.Name == name })
	if i < 0 {
		t.Fatalf("Queues lists %d queues and not %q", len(all), name)
	}
	return all[i]
}

// increment adds one to the number in a queue's settings, and repeats that until
// nobody came in between.
func (t *trial) increment(name string) (revision uint64, err error) {
	for {
		all, _, err := t.store.Queues(t.ctx, 0, 0)
		if err != nil {
			return 0, err
		}
		q := all[slices.IndexFunc(all, func(q store.Queue) bool { return q.Name == name })]
		n, err := strconv.Atoi(string(q.Settings))
		if err != nil {
			return 0, err
		}
		time.Sleep(time.Microsecond) // let others in between
		q.Settings = []byte(strconv.Itoa(n + 1))
		stored, err := t.store.PutQueue(t.ctx, q)
		if err == nil {
			return stored.Revision, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return 0, err
		}
	}
}
