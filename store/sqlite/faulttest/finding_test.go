package faulttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/inproq/inproq/store"
)

// finding is a message that a store has.
type finding struct {
	queue    string
	ready    bool
	held     bool // it may be: nothing but a lease can tell a delay
	attempts int  // deliveries so far
}

// inspect returns all messages of a store that nobody uses, and what is wrong with
// them, and the queues that are missing. It leases what it can.
func inspect(s store.Store) (found map[store.ID]finding, missing, wrong []string, err error) {
	found = map[store.ID]finding{}
	for _, queue := range queues {
		there, err := peekAll(s, queue)
		if errors.Is(err, store.ErrQueueNotFound) {
			missing = append(missing, queue)
			continue
		}
		if err != nil {
			return nil, nil, nil, fmt.Errorf("peeking into %s: %w", queue, err)
		}
		wrong = append(wrong, recount(s, queue, there)...)
		for _, d := range there {
			if was, ok := found[d.ID]; ok {
				wrong = append(wrong, fmt.Sprintf("%x is in %s and in %s", d.ID, was.queue, queue))
			}
			wrong = append(wrong, compare(d)...)
			found[d.ID] = finding{queue: queue, held: true, attempts: d.Attempts}
		}
		ready, err := s.Lease(context.Background(), queue, store.Claim{Max: len(there) + 1, Visibility: forever}, nil)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("leasing from %s: %w", queue, err)
		}
		for _, d := range ready {
			f, ok := found[d.ID]
			if !ok || f.queue != queue {
				wrong = append(wrong, fmt.Sprintf("%x can be leased from %s, and is not seen there", d.ID, queue))
			}
			wrong = append(wrong, compare(d)...)
			found[d.ID] = finding{queue: queue, ready: true, attempts: d.Attempts - 1}
		}
		st, err := s.Stats(context.Background(), queue)
		if err != nil || st.Leased != int64(len(ready)) || st.Delayed != int64(len(there)-len(ready)) {
			wrong = append(wrong, fmt.Sprintf("%s has %d messages of which %d are leased, and says %+v, %v", queue, len(there), len(ready), st, err))
		}
	}
	return found, missing, wrong, nil
}

// peekAll returns all messages of a queue that are not leased.
func peekAll(s store.Store, queue string) (all []store.Delivery, err error) {
	after := store.Lease("")
	for {
		page, err := s.Peek(context.Background(), queue, after, 100)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		after = page[len(page)-1].Lease
	}
}

// recount compares the figures of a queue with what is in it.
func recount(s store.Store, queue string, there []store.Delivery) []string {
	st, err := s.Stats(context.Background(), queue)
	if err != nil {
		return []string{fmt.Sprintf("the figures of %s: %v", queue, err)}
	}
	var size int64
	for _, d := range there {
		size += int64(len(d.Body))
	}
	if st.Messages != int64(len(there)) || st.Bytes != size || st.Leased != 0 || st.Delayed < 0 {
		return []string{fmt.Sprintf("%s has %d messages of %d bytes, and says %+v", queue, len(there), size, st)}
	}
	return nil
}

// compare compares a message with what was sent.
func compare(d store.Delivery) []string {
	want := message(d.ID)
	got := d.Message
	if len(got.Headers) == 0 {
		got.Headers = nil
	}
	if got.Body == nil {
		got.Body = []byte{}
	}
	if !reflect.DeepEqual(got, want) {
		return []string{fmt.Sprintf("%x has changed: %d bytes of %q with headers %q, want %d of %q with %q",
			d.ID, len(got.Body), got.ContentType, got.Headers, len(want.Body), want.ContentType, want.Headers)}
	}
	return nil
}
