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

func TestSubscriptions(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	to := queues.SubscriptionNewParamsDestination{
		QueueID: cf.F(c.queue(t, "events")), Type: cf.F(queues.SubscriptionNewParamsDestinationTypeQueuesQueue),
	}
	spec := queues.SubscriptionNewParams{
		AccountID: inAccount, Name: cf.F("buckets"), Enabled: cf.F(true), Destination: cf.F(to),
		Source: cf.F[queues.SubscriptionNewParamsSourceUnion](queues.SubscriptionNewParamsSourceMqEventSourceR2{
			Type: cf.F(queues.SubscriptionNewParamsSourceMqEventSourceR2TypeR2),
		}),
		Events: cf.F([]string{"bucket.created", "bucket.deleted"}),
	}
	s, err := c.Queues.Subscriptions.New(ctx, spec)
	require.NoError(t, err)
	assert.Regexp(t, "^[0-9a-f]{32}$", s.ID)
	assert.Equal(t, "buckets", s.Name)
	assert.Equal(t, to.QueueID.Value, s.Destination.QueueID)
	assert.Equal(t, queues.SubscriptionNewResponseSourceTypeR2, s.Source.Type)
	assert.WithinDuration(t, time.Now(), s.CreatedAt, time.Minute)

	_, err = c.Queues.Subscriptions.New(ctx, spec)
	c.fails(t, err, 405, 0, "multiple subscriptions")
	spec.Events = cf.F([]string{"nonsense"})
	_, err = c.Queues.Subscriptions.New(ctx, spec)
	c.fails(t, err, 400, 0, "Unrecognized event types")

	got, err := c.Queues.Subscriptions.Get(ctx, s.ID, queues.SubscriptionGetParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, []string{"bucket.created", "bucket.deleted"}, got.Events)
	changed, err := c.Queues.Subscriptions.Update(ctx, s.ID, queues.SubscriptionUpdateParams{AccountID: inAccount, Enabled: cf.F(false)})
	require.NoError(t, err)
	assert.False(t, changed.Enabled)
	assert.Equal(t, "buckets", changed.Name)

	// More than a page of them: the SDK asks on until a page is empty.
	for i := range 30 {
		_, err := c.Queues.Subscriptions.New(ctx, queues.SubscriptionNewParams{
			AccountID: inAccount, Name: cf.F(fmt.Sprint("w", i)), Enabled: cf.F(true), Destination: cf.F(to),
			Source: cf.F[queues.SubscriptionNewParamsSourceUnion](queues.SubscriptionNewParamsSourceMqEventSourceWorkersBuildsWorker{
				Type:       cf.F(queues.SubscriptionNewParamsSourceMqEventSourceWorkersBuildsWorkerTypeWorkersBuildsWorker),
				WorkerName: cf.F(fmt.Sprint("worker", i)),
			}),
			Events: cf.F([]string{"build.started"}),
		})
		require.NoError(t, err)
	}
	n := 0
	all := c.Queues.Subscriptions.ListAutoPaging(ctx, queues.SubscriptionListParams{AccountID: inAccount, PerPage: cf.F[int64](7)})
	for ; all.Next(); n++ {
	}
	require.NoError(t, all.Err())
	assert.Equal(t, 31, n)
	first, err := c.Queues.Subscriptions.List(ctx, queues.SubscriptionListParams{AccountID: inAccount,
		Order: cf.F(queues.SubscriptionListParamsOrderName), Direction: cf.F(queues.SubscriptionListParamsDirectionDesc)})
	require.NoError(t, err)
	assert.Len(t, first.Result, 20)
	assert.Equal(t, "w9", first.Result[0].Name)

	gone, err := c.Queues.Subscriptions.Delete(ctx, s.ID, queues.SubscriptionDeleteParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, s.ID, gone.ID)
	_, err = c.Queues.Subscriptions.Get(ctx, s.ID, queues.SubscriptionGetParams{AccountID: inAccount})
	c.fails(t, err, 404, 0, "No subscription with this ID")
}
