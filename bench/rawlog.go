package main

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// rawLogContestant is what a durable queue cannot be faster than: what each message of
// any has to do, and nothing else.
var rawLogContestant = Contestant{
	Name: "raw log",
	How: "The ceiling that ratios refer to, written for this: one file, to which a record with an id of 16 bytes, a checksum and the body is appended for each message, " +
		"and one for each acknowledgement; a goroutine makes all that is pending durable with one write and one fdatasync, and waits up to 60 µs for those whom its last one " +
		"has released. Bodies and leases stay in memory. 10 handlers take up to 100 messages at once, and wait until their acknowledgements are durable.",
	Promises: Promises{IDs: "16 bytes", Acks: "per batch", Retries: "–", Delays: "–", DeadLetters: "–", Order: "first in, first out", Survives: "loss of power"},
	Durable:  true,
	Open:     opener(openRawLog),
}

// A rawLog is a queue on a groupLog.
type rawLog struct {
	setup Setup
	dir   string
	log   *groupLog
	began time.Time
	sent  atomic.Uint64

	mu      sync.Mutex
	some    sync.Cond // ready has messages, or the queue is closed
	ready   []logged
	leased  map[[16]byte]logged
	closed  bool
	failure error // of an acknowledgement

	handlers sync.WaitGroup
}

func openRawLog(s Setup) (_ *rawLog, err error) {
	q := &rawLog{setup: s, began: time.Now(), leased: map[[16]byte]logged{}}
	q.some.L = &q.mu
	if q.dir, err = os.MkdirTemp("", "rawlog"); err != nil {
		return nil, err
	}
	if q.log, err = openGroupLog(filepath.Join(q.dir, "log"), q.offer); err != nil {
		return nil, errors.Join(err, os.RemoveAll(q.dir))
	}
	return q, nil
}

func (q *rawLog) Send(_ context.Context, body []byte) error {
	return q.log.append([]logged{{q.mint(), body}}, nil)
}

func (q *rawLog) SendBatch(_ context.Context, bodies [][]byte) error {
	messages := make([]logged, len(bodies))
	for i, body := range bodies {
		messages[i] = logged{q.mint(), body}
	}
	return q.log.append(messages, nil)
}

// mint makes an id of the log's time and a number.
func (q *rawLog) mint() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(q.began.UnixNano()))
	binary.BigEndian.PutUint64(id[8:], q.sent.Add(1))
	return id
}

// offer takes over messages that are on the disk.
func (q *rawLog) offer(messages []logged) {
	if len(messages) == 0 {
		return
	}
	q.mu.Lock()
	q.ready = append(q.ready, messages...)
	q.mu.Unlock()
	q.some.Signal()
}

// Lease waits for messages and takes up to a number of them; none when the queue is
// closed.
func (q *rawLog) Lease(most int) []logged {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && !q.closed {
		q.some.Wait()
	}
	if q.closed {
		return nil
	}
	n := min(most, len(q.ready))
	taken := q.ready[:n:n]
	q.ready = q.ready[n:]
	for _, m := range taken {
		q.leased[m.id] = m
	}
	if len(q.ready) > 0 {
		q.some.Signal() // offer has told one only
	}
	return taken
}

// Ack ends leases, durably.
func (q *rawLog) Ack(messages []logged) error {
	if err := q.log.append(nil, messages); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range messages {
		delete(q.leased, m.id)
	}
	return nil
}

func (q *rawLog) Consume(sink Sink[[]byte]) error {
	for handler := range q.setup.Handlers {
		q.handlers.Go(func() {
			for {
				batch := q.Lease(100)
				if len(batch) == 0 {
					return
				}
				for _, m := range batch {
					sink(handler, m.body)
				}
				if err := q.Ack(batch); err != nil {
					q.fail(err)
					return
				}
			}
		})
	}
	return nil
}

func (q *rawLog) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failure = errors.Join(q.failure, err)
}

func (q *rawLog) Settle(ctx context.Context) error {
	return eventually(ctx, func() (bool, error) {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.ready)+len(q.leased) == 0, q.failure
	})
}

func (q *rawLog) files() string { return q.dir }

func (q *rawLog) Close() error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.some.Broadcast()
	q.handlers.Wait()
	return errors.Join(q.log.close(), os.RemoveAll(q.dir))
}
