package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gocloud.dev/blob/memblob"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// batch makes one of events with given IDs, sent on New Year's Eve in UTC.
func batch(ids ...byte) *inproq.MessageBatch[Event] {
	var msgs []inproq.Message[Event]
	for _, id := range ids {
		msgs = append(msgs, inproq.Message[Event]{
			ID:        inproq.MessageID{15: id},
			Timestamp: time.Date(2027, 1, 1, 0, 59, 59, int(id), time.FixedZone("CET", 3600)),
			Body:      Event{Service: "checkout", Text: string('a' + rune(id) - 1)},
		})
	}
	return queuetest.NewBatch("errors", msgs...)
}

func TestTheObject(t *testing.T) {
	a := newArchive(t)
	require.NoError(t, queuetest.Deliver(t.Context(), a.store, batch(2, 1)).Err)
	assert.Equal(t, map[string]string{
		"2026/12/31/00000000000000000000000000000001-78d68721debb423c.jsonl": `{"id":"00000000000000000000000000000001","time":"0001-01-01T00:00:00Z","service":"checkout","text":"a"}
{"id":"00000000000000000000000000000002","time":"0001-01-01T00:00:00Z","service":"checkout","text":"b"}
`,
	}, content(t, a.bucket))
}

// The same batch again, in another order: nothing changes.
func TestABatchComesAgain(t *testing.T) {
	a := newArchive(t)
	require.NoError(t, queuetest.Deliver(t.Context(), a.store, batch(1, 2, 3)).Err)
	before := content(t, a.bucket)
	assert.Len(t, before, 1)
	require.NoError(t, queuetest.Deliver(t.Context(), a.store, batch(3, 1, 2)).Err)
	assert.Equal(t, before, content(t, a.bucket))
}

// The first message of a batch again, with another one: nothing is lost.
func TestAMessageComesAgainWithOthers(t *testing.T) {
	a := newArchive(t)
	require.NoError(t, queuetest.Deliver(t.Context(), a.store, batch(1, 2, 3)).Err)
	require.NoError(t, queuetest.Deliver(t.Context(), a.store, batch(1, 4)).Err)
	objects := content(t, a.bucket)
	assert.Len(t, objects, 2)
	assert.Equal(t, []string{"a", "b", "c", "d"}, texts(t, objects))
}

func TestTheBucketIsOutOfReach(t *testing.T) {
	bucket := memblob.OpenBucket(nil)
	require.NoError(t, bucket.Close())
	b := batch(1, 2)
	result := queuetest.Deliver(t.Context(), (&archive{bucket: bucket}).store, b)
	assert.Error(t, result.Err)
	assert.Len(t, result.Retried(), 2)
}
