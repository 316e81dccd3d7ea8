package queuetest

import (
	"cmp"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/headers"
)

// DeadLetter makes of a message one that was moved to a dead-letter queue as d says,
// for [NewBatch] and the handler of such a queue: Message.DeadLetter returns d. Fields
// that are zero are filled in: 4 attempts, [inproq.RetriesExhausted], now. As in a real
// one, the error is one line of about 1,000 bytes at most, and the time in UTC.
//
//	batch := queuetest.NewBatch("dead", queuetest.DeadLetter(
//		inproq.Message[string]{Body: "ada@example.org"},
//		inproq.DeadLetter{Queue: "emails", Error: "mailbox full"},
//	))
func DeadLetter[T any](msg inproq.Message[T], d inproq.DeadLetter) inproq.Message[T] {
	if d.Time.IsZero() {
		d.Time = time.Now()
	}
	letter := headers.DeadLetter{
		Queue: d.Queue, Attempts: cmp.Or(d.Attempts, 4), Reason: string(cmp.Or(d.Reason, inproq.RetriesExhausted)), Error: d.Error, Time: d.Time,
	}
	msg.Headers = letter.With(msg.Headers)
	return msg
}
