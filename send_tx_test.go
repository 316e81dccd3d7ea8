package inproq_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestSendInATransactionNeedsAStoreThatHasThem(t *testing.T) {
	for name, cfg := range map[string]inproq.Config{"memory": {}, "without": {Store: newSendStore()}} {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, cfg)
			producer := sendQueue[string](t, b, "q", inproq.QueueConfig{}).In("tx")
			_, err := producer.Send(t.Context(), "a")
			sendReject(t, err, inproq.ErrNotSupported, 15000, `"q"`)
			_, err = producer.SendBatch(t.Context(), inproq.Bodies("a"))
			sendReject(t, err, inproq.ErrNotSupported, 15000, `"q"`)
			assert.Zero(t, sendBacklog(t, b, "q"))
		})
	}
}

func TestSendInATransactionPassesItOn(t *testing.T) {
	type transaction struct{ n int }
	st := &sendTxStore{sendLocalStore: &sendLocalStore{newSendStore()}}
	b := sendBroker(t, inproq.Config{Store: st})
	q := sendQueue[string](t, b, "q", inproq.QueueConfig{DeliveryDelay: time.Hour})
	tx := &transaction{1}

	one, err := q.In(tx).Send(t.Context(), "a", inproq.ContentAs(inproq.Text), inproq.Header("K", "v"), inproq.Delay(time.Minute))
	require.NoError(t, err)
	many, err := q.In(*tx).SendBatch(t.Context(), inproq.Bodies("b", "c"))
	require.NoError(t, err)
	_, err = q.Send(t.Context(), "d")
	require.NoError(t, err)

	assert.Equal(t, []any{tx, *tx}, st.txs, "and none for a plain send")
	given := st.given()
	require.Len(t, given, 3)
	assert.Zero(t, st.called("Send"), "none is without a delay")
	require.Len(t, given[2], 1)
	assert.Equal(t, `"d"`, string(given[2][0].Body))
	assert.Equal(t, time.Hour, given[2][0].Delay)
	require.Len(t, given[0], 1)
	m := given[0][0]
	assert.Equal(t, one.ID, inproq.MessageID(m.ID))
	assert.Equal(t, "a", string(m.Body))
	assert.Equal(t, "text", m.ContentType)
	assert.Equal(t, time.Minute, m.Delay)
	assert.NotEmpty(t, m.Headers)
	require.Len(t, given[1], 2)
	for i, id := range many.IDs {
		assert.Equal(t, id, inproq.MessageID(given[1][i].ID))
	}
	assert.Equal(t, time.Hour, given[1][0].Delay)
	assert.EqualValues(t, 4, b.Stats("q").Sent)

	_, err = q.In(nil).Send(t.Context(), "a")
	sendReject(t, err, inproq.ErrNotSupported, 15000, "nil")
	_, err = q.In(nil).SendBatch(t.Context(), inproq.Bodies("a"))
	sendReject(t, err, inproq.ErrNotSupported, 15000, "nil")
	assert.Len(t, st.given(), 3)
}

// Limits are the same inside and outside of transactions.
func TestSendInATransactionIsChecked(t *testing.T) {
	st := &sendTxStore{sendLocalStore: &sendLocalStore{newSendStore()}}
	b := sendBroker(t, inproq.Config{Store: st})
	producer := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{}).In("tx")
	_, err := producer.Send(t.Context(), make([]byte, 128_001))
	require.ErrorIs(t, err, inproq.ErrMessageTooLarge)
	_, err = producer.SendBatch(t.Context(), nil)
	require.ErrorIs(t, err, inproq.ErrEmptyBatch)
	require.NoError(t, b.Shutdown(t.Context()))
	_, err = producer.Send(t.Context(), nil)
	require.ErrorIs(t, err, inproq.ErrBrokerClosed)
	assert.Empty(t, st.txs)
}
