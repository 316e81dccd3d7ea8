package main

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRawLogLeases(t *testing.T) {
	q, err := openRawLog(Setup{})
	require.NoError(t, err)
	require.NoError(t, q.SendBatch(t.Context(), [][]byte{{1}, {2}, {3}}))
	require.NoError(t, q.Send(t.Context(), []byte{4}))
	bodies := func(batch []logged) (all [][]byte) {
		for _, m := range batch {
			all = append(all, m.body)
		}
		return all
	}
	first := q.Lease(3)
	assert.Equal(t, [][]byte{{1}, {2}, {3}}, bodies(first))
	second := q.Lease(3)
	assert.Equal(t, [][]byte{{4}}, bodies(second))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, q.Settle(ctx), context.Canceled, "leases are not acknowledgements")
	require.NoError(t, q.Ack(first))
	assert.ErrorIs(t, q.Settle(ctx), context.Canceled)
	require.NoError(t, q.Ack(second))
	require.NoError(t, q.Settle(ctx))

	require.NoError(t, q.Close())
	assert.Empty(t, q.Lease(3), "it is closed")
	assert.NoDirExists(t, q.dir)
}

// A handler whose acknowledgement fails ends, and Settle says so.
func TestRawLogFails(t *testing.T) {
	q, err := openRawLog(Setup{Handlers: 1})
	require.NoError(t, err)
	require.NoError(t, q.Send(t.Context(), []byte{1}))
	require.NoError(t, q.log.file.Close())
	require.NoError(t, q.Consume(func(int, []byte) {}))
	q.handlers.Wait()
	require.ErrorIs(t, q.Settle(t.Context()), os.ErrClosed)
	require.ErrorIs(t, q.Close(), os.ErrClosed)
	assert.NoDirExists(t, q.dir)
}
