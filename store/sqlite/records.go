package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/inproq/inproq/store"
)

// records are what memory has of table inproq_queues, which is all of it.
type records struct {
	mu      sync.Mutex
	byName  map[string]*record
	tables  map[string]bool // in lower case: taken, now or by a tombstone
	last    uint64          // newest revision
	numbers int64           // largest number
	changed chan struct{}   // closed at the next change; nil: nobody waits
	over    error
}

// A record is what PutQueue has said of a queue.
type record struct {
	store.Queue
	number int64
	table  string
	q      *queue // nil: a tombstone
}

// find finds the queue of a name.
func (r *records) find(name string) (*queue, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over != nil {
		return nil, r.over
	}
	if rec := r.byName[name]; rec != nil && rec.q != nil {
		return rec.q, nil
	}
	return nil, store.ErrQueueNotFound
}

// byNumber returns all queues by their numbers.
func (r *records) byNumber() map[int64]*queue {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[int64]*queue, len(r.byName))
	for _, rec := range r.byName {
		if rec.q != nil {
			all[rec.number] = rec.q
		}
	}
	return all
}

// loadRecords reads all records and figures of queues.
func (s *Store) loadRecords() error {
	r := &s.records
	r.byName, r.tables = map[string]*record{}, map[string]bool{}
	byNumber := map[int64]*queue{}
	const queues = "SELECT number, name, messages, paused, deleted, retention, revision, settings FROM inproq_queues"
	err := s.w.query(queues, nil, func(row []driver.Value) bool {
		rec := &record{number: integer(row[0]), table: text(row[2]), Queue: store.Queue{
			Name: text(row[1]), Paused: integer(row[3]) != 0, Deleted: integer(row[4]) != 0,
			Retention: time.Duration(integer(row[5])), Revision: uint64(integer(row[6])), Settings: bytes.Clone(s.w.bytes(row[7])),
		}}
		if !rec.Deleted {
			rec.q = newQueue(s, rec.number, &rec.Queue, rec.table)
			byNumber[rec.number] = rec.q
		}
		r.keep(rec)
		return true
	})
	if err != nil {
		return err
	}
	return s.w.query("SELECT queue, next, messages, bytes, seen FROM inproq_counts", nil, func(row []driver.Value) bool {
		if q := byNumber[integer(row[0])]; q != nil {
			q.next, q.messages, q.bytes, q.seen = integer(row[1]), integer(row[2]), integer(row[3]), integer(row[4])
		}
		return true
	})
}

// keep takes a record in. The caller holds mu.
func (r *records) keep(rec *record) {
	r.byName[rec.Name] = rec
	if !rec.Deleted {
		r.tables[strings.ToLower(rec.table)] = true
	}
	r.last = max(r.last, rec.Revision)
	r.numbers = max(r.numbers, rec.number)
}

// announce wakes those who wait in Queues. The caller holds mu.
func (r *records) announce() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// endQueues makes everything answer that the store is closed.
func (s *Store) endQueues() {
	r := &s.records
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = errClosed
	for _, rec := range r.byName {
		if rec.q != nil {
			rec.q.end(errClosed)
		}
	}
	r.announce()
}

// PutQueue creates or replaces a record.
func (s *Store) PutQueue(ctx context.Context, rec store.Queue) (store.Queue, error) {
	if err := ctx.Err(); err != nil {
		return store.Queue{}, err
	}
	rec.Settings = bytes.Clone(rec.Settings)
	rec.Deleted = false
	o := &put{s: s, rec: rec}
	if err := s.submit(ctx, o); err != nil {
		return store.Queue{}, err
	}
	kept := o.kept.Queue
	kept.Settings = bytes.Clone(kept.Settings)
	return kept, nil
}

// A put writes a record.
type put struct {
	opHead
	s    *Store
	rec  store.Queue
	kept *record
}

func (o *put) plan(g *group) error {
	old := g.record(o.rec.Name)
	exists := old != nil && !old.Deleted
	switch {
	case !exists && o.rec.Revision != 0:
		return refusal{store.ErrQueueNotFound}
	case exists && o.rec.Revision != old.Revision:
		return refusal{store.ErrConflict}
	}
	rec := &record{Queue: o.rec}
	rec.Revision = g.nextRevision()
	if exists {
		rec.number, rec.table, rec.q = old.number, old.table, old.q
	} else {
		g.newQueue(rec)
		if err := createMessages(g.c, rec.table); err != nil {
			return err
		}
		if err := g.c.exec("INSERT INTO inproq_counts(queue, next, messages, bytes, seen) VALUES (?, 1, 0, 0, 0)", rec.number); err != nil {
			return err
		}
	}
	o.kept = rec
	return g.writeRecord(rec)
}

func (o *put) undo()  {}
func (o *put) abort() {}

func (o *put) apply(*group) {
	r := &o.s.records
	r.mu.Lock()
	r.keep(o.kept)
	r.mu.Unlock()
	q := o.kept.q
	q.mu.Lock()
	q.paused = o.kept.Paused
	if kept := max(int64(o.kept.Retention), 0); kept != q.retention {
		q.retention = kept
		q.expiry = never
		if kept > 0 {
			q.expiry = 0 // to be looked up
		}
	}
	q.wake()
	q.mu.Unlock()
	r.mu.Lock()
	r.announce()
	r.mu.Unlock()
}

// DeleteQueue deletes a queue with its messages, and leaves a tombstone.
func (s *Store) DeleteQueue(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.submit(ctx, &deletion{s: s, name: name})
}

type deletion struct {
	opHead
	s         *Store
	name      string
	q         *queue
	tombstone *record
}

func (o *deletion) plan(g *group) error {
	old := g.record(o.name)
	if old == nil || old.Deleted {
		return refusal{store.ErrQueueNotFound}
	}
	c, err := g.change(old.q)
	if err != nil {
		return err
	}
	c.gone = true
	c.cut()
	o.q = old.q
	if err := g.c.exec(o.q.sql().drop); err != nil {
		return err
	}
	if err := g.c.exec("DELETE FROM inproq_counts WHERE queue = ?", old.number); err != nil {
		return err
	}
	o.tombstone = &record{number: old.number, table: old.table, Queue: store.Queue{Name: o.name, Deleted: true, Revision: g.nextRevision()}}
	return g.writeRecord(o.tombstone)
}

func (o *deletion) undo()  {}
func (o *deletion) abort() {}

func (o *deletion) apply(*group) {
	r := &o.s.records
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tables, strings.ToLower(o.tombstone.table))
	r.keep(o.tombstone)
	o.q.end(store.ErrQueueNotFound)
	r.announce()
}

// record finds the record of a name, as the group leaves it; nil: there was never one.
func (g *group) record(name string) *record {
	if rec := g.records[name]; rec != nil {
		return rec
	}
	r := &g.s.records
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byName[name]
}

// nextRevision returns the next revision of the store.
func (g *group) nextRevision() uint64 {
	if g.revision == 0 {
		r := &g.s.records
		r.mu.Lock()
		g.revision, g.number = r.last, r.numbers
		r.mu.Unlock()
	}
	g.revision++
	return g.revision
}

// newQueue gives a record a queue, with a number and a table. The record has its revision.
func (g *group) newQueue(rec *record) {
	g.number++
	rec.number = g.number
	rec.table = tableName(rec.Name, rec.number, func(table string) bool {
		table = strings.ToLower(table)
		for _, other := range g.records {
			if !other.Deleted && strings.ToLower(other.table) == table {
				return true
			}
		}
		r := &g.s.records
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.tables[table]
	})
	rec.q = newQueue(g.s, rec.number, &rec.Queue, rec.table)
	rec.q.next, rec.q.cursor, rec.q.loaded = 1, 1, true
}

// writeRecord writes a record to the file.
func (g *group) writeRecord(rec *record) error {
	if g.records == nil {
		g.records = map[string]*record{}
	}
	g.records[rec.Name] = rec
	var settings driver.Value
	switch {
	case rec.Settings == nil:
	case utf8.Valid(rec.Settings) && !bytes.ContainsRune(rec.Settings, 0):
		settings = string(rec.Settings)
	default:
		settings = rec.Settings
	}
	const sql = "INSERT INTO inproq_queues(number, name, messages, paused, deleted, retention, revision, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?) " +
		"ON CONFLICT(name) DO UPDATE SET number = excluded.number, messages = excluded.messages, paused = excluded.paused, " +
		"deleted = excluded.deleted, retention = excluded.retention, revision = excluded.revision, settings = excluded.settings"
	return g.c.exec(sql, rec.number, rec.Name, rec.table, flag(rec.Paused), flag(rec.Deleted), int64(rec.Retention), int64(rec.Revision), settings)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Queues lists what changed after a revision, and waits for a change if nothing did.
func (s *Store) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	r := &s.records
	var timeout <-chan time.Time
	for {
		r.mu.Lock()
		if r.over != nil {
			defer r.mu.Unlock()
			return nil, 0, r.over
		}
		if r.last > after || wait == 0 {
			defer r.mu.Unlock()
			return r.since(after), r.last, nil
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		if wait > 0 && timeout == nil {
			t := time.NewTimer(wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-changed:
		case <-timeout:
			wait = 0
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// since collects the records above a revision, in the order of revisions. The caller
// holds mu.
func (r *records) since(after uint64) []store.Queue {
	var recs []store.Queue
	if after >= r.last {
		return nil
	}
	for _, rec := range r.byName {
		if rec.Revision > after && (after > 0 || !rec.Deleted) {
			q := rec.Queue
			q.Settings = bytes.Clone(q.Settings)
			recs = append(recs, q)
		}
	}
	slices.SortFunc(recs, func(a, b store.Queue) int { return cmp.Compare(a.Revision, b.Revision) })
	return recs
}
