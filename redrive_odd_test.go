package inproq_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/store"
)

// redriveOdd is a broker whose dead-letter queue has one message with such headers.
func redriveOdd(t *testing.T, encoded []byte) (*inproq.Broker, store.Store) {
	t.Helper()
	st := accountStore(t)
	b := accountBroker(t, inproq.Config{Store: st})
	accountDeclare(t, b, redriveDead, inproq.QueueConfig{})
	accountDeclare(t, b, "jobs", inproq.QueueConfig{})
	_, err := st.Enqueue(t.Context(), redriveDead, []store.Message{{ID: store.ID{1}, Body: []byte("x"), ContentType: "bytes", Headers: encoded}})
	require.NoError(t, err)
	return b, st
}

// A letter that says that it died where it is has nowhere to go of its own.
func TestRedriveOfALetterFromHere(t *testing.T) {
	letter := headers.DeadLetter{Queue: redriveDead, Time: time.Unix(0, 0)}
	b, _ := redriveOdd(t, headers.Encode(letter.With(nil)))
	n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = b.Redrive(t.Context(), redriveDead, "jobs", inproq.RedriveConfig{})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

// Headers that nobody can read are moved as they are.
func TestRedriveOfMalformedHeaders(t *testing.T) {
	b, st := redriveOdd(t, []byte("\xff\xff\xff"))
	require.Nil(t, sendPeekOne(t, b, redriveDead).Headers)
	n, err := b.Redrive(t.Context(), redriveDead, "jobs", inproq.RedriveConfig{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	found, err := st.Peek(t.Context(), "jobs", "", 1)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, []byte("\xff\xff\xff"), found[0].Headers)
}
