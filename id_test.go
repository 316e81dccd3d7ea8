package inproq_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/memory"
)

func TestMessageIDIsAUUIDv7OfTheTimeOfTheSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cfg := range []inproq.Config{{Store: memory.New()}, {Store: newSendStore()}} {
			b := sendBroker(t, cfg)
			q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
			for range 20 {
				time.Sleep(12_345_678 * time.Nanosecond)
				res, err := q.Send(t.Context(), nil)
				require.NoError(t, err)
				id := uuid.UUID(res.ID)
				assert.EqualValues(t, 7, id.Version())
				assert.Equal(t, uuid.RFC4122, id.Variant())
				sec, nsec := id.Time().UnixTime()
				assert.Equal(t, time.Now().UnixMilli(), time.Unix(sec, nsec).UnixMilli())
			}
		}
	})
}

// The time has a quarter of a microsecond, beyond the milliseconds of the format.
func TestMessageIDsAreInTheOrderOfTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{})
		q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
		var ids []inproq.MessageID
		for range 2_500 { // over more than one millisecond
			time.Sleep(time.Microsecond)
			res, err := q.Send(t.Context(), nil)
			require.NoError(t, err)
			ids = append(ids, res.ID)
		}
		assert.True(t, slices.IsSortedFunc(ids, func(a, b inproq.MessageID) int { return bytes.Compare(a[:], b[:]) }))
		assert.True(t, slices.IsSortedFunc(ids, func(a, b inproq.MessageID) int { return strings.Compare(a.String(), b.String()) }))
	})
}

func TestMessageIDsAreUniqueOverGoroutines(t *testing.T) {
	const senders, sends = 16, 2_000
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	ids := make([][]inproq.MessageID, senders)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			for range sends / 4 {
				one, err := q.Send(t.Context(), nil)
				assert.NoError(t, err)
				three, err := q.SendBatch(t.Context(), make([]inproq.MessageSendRequest[[]byte], 3))
				assert.NoError(t, err)
				ids[i] = append(append(ids[i], one.ID), three.IDs...)
			}
		})
	}
	wg.Wait()
	all := make(map[inproq.MessageID]bool)
	for _, id := range slices.Concat(ids...) {
		all[id] = true
	}
	assert.Len(t, all, senders*sends)
	assert.Equal(t, senders*sends, sendBacklog(t, b, "q"))
	assert.EqualValues(t, senders*sends, b.Stats("q").Sent)
}

// The result names the messages in the order of the batch.
func TestMessageIDsOfABatchAreInItsOrder(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
	res, err := q.SendBatch(t.Context(), inproq.Bodies("0", "1", "2"))
	require.NoError(t, err)
	require.Len(t, res.IDs, 3)
	msgs, err := b.Peek(t.Context(), "q", 10)
	require.NoError(t, err)
	require.Len(t, msgs, 3)
	for _, m := range msgs {
		assert.Equal(t, int(m.Body[1]-'0'), slices.Index(res.IDs, m.ID))
	}
}

func TestMessageIDTextRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := inproq.MessageID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		text := id.String()
		assert.Regexp(t, "^[0-9a-f]{32}$", text)
		for _, s := range []string{text, strings.ToUpper(text), uuid.UUID(id).String()} {
			parsed, err := inproq.ParseMessageID(s)
			require.NoError(t, err)
			assert.Equal(t, id, parsed)
		}
		b, err := json.Marshal(map[inproq.MessageID]inproq.MessageID{id: id})
		require.NoError(t, err)
		assert.Equal(t, `{"`+text+`":"`+text+`"}`, string(b))
		var back map[inproq.MessageID]inproq.MessageID
		require.NoError(t, json.Unmarshal(b, &back))
		assert.Equal(t, map[inproq.MessageID]inproq.MessageID{id: id}, back)
	})
}

func TestMessageIDParseRefusesAllElse(t *testing.T) {
	const digits, dashed = "019ab3c4d5e67890a1b2c3d4e5f60718", "019ab3c4-d5e6-7890-a1b2-c3d4e5f60718"
	for _, s := range []string{
		"", digits[1:], digits + "0", digits[1:] + "g", digits[1:] + " ", "{" + dashed + "}", "urn:uuid:" + dashed,
		"x" + dashed + "x", strings.Replace(dashed, "-", "_", 1), strings.Replace(dashed, "-", "", 1), dashed[1:] + "-",
	} {
		_, err := inproq.ParseMessageID(s)
		require.Error(t, err, "%q", s)
		assert.ErrorContains(t, err, "inproq: message id")
		id := inproq.MessageID{1}
		require.Error(t, id.UnmarshalText([]byte(s)))
		assert.Equal(t, inproq.MessageID{1}, id, "a failure changes nothing")
	}
}
