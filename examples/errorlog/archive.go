package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"

	"github.com/inproq/inproq"
)

// Event is an error that a service reports, and what the queue holds.
type Event struct {
	Time    time.Time `json:"time"`
	Service string    `json:"service"`
	Text    string    `json:"text"`
}

// A Line is an event in an object. Its ID tells a reader which events are the same.
type Line struct {
	ID inproq.MessageID `json:"id"`
	Event
}

// archive writes batches to a bucket.
type archive struct {
	bucket *blob.Bucket
	total  atomic.Int64
	stored func(total int64) // called after each batch
}

// store writes a batch as one object. An error brings the whole batch back.
//
// Delivery is at least once: a batch that was written comes again when its
// acknowledgement is lost. That changes nothing, because name and content of an
// object follow from its messages alone, in whatever order they come, and not from
// the time of the write: the object is replaced by an equal one.
//
// Messages may also come again in the company of others. Then the digest in the
// name is another one, and so is the object: it never replaces one that has events
// which it has not. Events that are in both have the same ID there.
func (a *archive) store(ctx context.Context, batch *inproq.MessageBatch[Event]) error {
	key, text, err := object(batch.Messages)
	if err != nil {
		return err
	}
	// All or nothing: an object is not seen before it is complete.
	if err := a.bucket.WriteAll(ctx, key, text, &blob.WriterOptions{ContentType: "application/jsonl"}); err != nil {
		return err
	}
	if a.stored != nil {
		a.stored(a.total.Add(int64(len(batch.Messages))))
	}
	return nil
}

// object returns what is written of a batch, one line for each event, and under
// which name: date and ID of its first message, and a digest of all IDs.
func object(msgs []*inproq.Message[Event]) (key string, text []byte, err error) {
	// IDs begin with the time of the send, so this is their order.
	msgs = slices.SortedFunc(slices.Values(msgs), func(a, b *inproq.Message[Event]) int {
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	var lines bytes.Buffer
	encoder, digest := json.NewEncoder(&lines), sha256.New()
	for _, m := range msgs {
		if err := encoder.Encode(Line{m.ID, m.Body}); err != nil {
			return "", nil, err
		}
		digest.Write(m.ID[:])
	}
	first := msgs[0] // a batch is never empty
	key = fmt.Sprintf("%s/%s-%x.jsonl", first.Timestamp.UTC().Format("2006/01/02"), first.ID, digest.Sum(nil)[:8])
	return key, lines.Bytes(), nil
}
