package e2e

import (
	"fmt"
	"testing"
	"time"

	cf "github.com/cloudflare/cloudflare-go/v6"
	"github.com/cloudflare/cloudflare-go/v6/queues"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQueues(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	q, err := c.Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("orders")})
	require.NoError(t, err)
	assert.Regexp(t, "^[0-9a-f]{32}$", q.QueueID)
	assert.Equal(t, "orders", q.QueueName)
	_, err = time.Parse(time.RFC3339, q.CreatedOn)
	assert.NoError(t, err)
	assert.Equal(t, float64(345_600), q.Settings.MessageRetentionPeriod)

	_, err = c.Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("orders")})
	c.fails(t, err, 409, 11009, "Queue name 'orders' is already taken. Please use a different name and try again.")
	_, err = c.Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("bad_name")})
	c.fails(t, err, 400, 11003, "bad_name")

	got, err := c.Queues.Get(ctx, q.QueueID, queues.QueueGetParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, "orders", got.QueueName)
	_, err = c.Queues.Get(ctx, unknown, queues.QueueGetParams{AccountID: inAccount})
	c.fails(t, err, 404, 11000, "not found")

	edited, err := c.Queues.Edit(ctx, q.QueueID, queues.QueueEditParams{AccountID: inAccount, Queue: queues.QueueParam{
		Settings: cf.F(queues.QueueSettingsParam{DeliveryDelay: cf.F(86_400.0)}),
	}})
	require.NoError(t, err)
	assert.Equal(t, 86_400.0, edited.Settings.DeliveryDelay)
	edited, err = c.Queues.Edit(ctx, q.QueueID, queues.QueueEditParams{AccountID: inAccount, Queue: queues.QueueParam{
		Settings: cf.F(queues.QueueSettingsParam{DeliveryPaused: cf.F(true)}),
	}})
	require.NoError(t, err)
	assert.True(t, edited.Settings.DeliveryPaused)
	assert.Equal(t, 86_400.0, edited.Settings.DeliveryDelay, "an edit merges")
	_, err = c.Queues.Edit(ctx, q.QueueID, queues.QueueEditParams{AccountID: inAccount, Queue: queues.QueueParam{
		Settings: cf.F(queues.QueueSettingsParam{DeliveryDelay: cf.F(86_401.0)}),
	}})
	c.fails(t, err, 400, 100128, "delivery_delay is 86401, allowed: 0 to 86400")

	updated, err := c.Queues.Update(ctx, q.QueueID, queues.QueueUpdateParams{AccountID: inAccount, Queue: queues.QueueParam{
		QueueName: cf.F("orders"), Settings: cf.F(queues.QueueSettingsParam{MessageRetentionPeriod: cf.F(60.0)}),
	}})
	require.NoError(t, err)
	assert.False(t, updated.Settings.DeliveryPaused, "an update replaces")
	assert.Equal(t, 0.0, updated.Settings.DeliveryDelay)
	assert.Equal(t, 60.0, updated.Settings.MessageRetentionPeriod)

	for i := range 120 {
		c.queue(t, fmt.Sprintf("q%d", i))
	}
	list, err := c.Queues.List(ctx, queues.QueueListParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Len(t, list.Result, 121)
	n := 0
	for all := c.Queues.ListAutoPaging(ctx, queues.QueueListParams{AccountID: inAccount}); all.Next(); n++ {
	}
	assert.Equal(t, 121, n)

	gone, err := c.Queues.Delete(ctx, q.QueueID, queues.QueueDeleteParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, queues.QueueDeleteResponseSuccessTrue, gone.Success)
	_, err = c.Queues.Delete(ctx, q.QueueID, queues.QueueDeleteParams{AccountID: inAccount})
	c.fails(t, err, 404, 11000, "not found")
}
