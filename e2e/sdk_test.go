package e2e

import (
	"testing"

	cf "github.com/cloudflare/cloudflare-go/v6"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/queues"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var inAccount = cf.F(account)

func (c *cloud) queue(t *testing.T, name string) string {
	t.Helper()
	q, err := c.Queues.New(t.Context(), queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F(name)})
	require.NoError(t, err)
	return q.QueueID
}

func (c *cloud) pulled(t *testing.T, name string) string {
	t.Helper()
	id := c.queue(t, name)
	_, err := c.Queues.Consumers.New(t.Context(), id, queues.ConsumerNewParams{
		AccountID: inAccount,
		Body: queues.ConsumerNewParamsBodyMqHTTPConsumerRequest{
			Type: cf.F(queues.ConsumerNewParamsBodyMqHTTPConsumerRequestTypeHTTPPull),
		},
	})
	require.NoError(t, err)
	return id
}

func TestConsumers(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	id := c.queue(t, "orders")
	worker := queues.ConsumerNewParamsBodyMqWorkerConsumerRequest{
		Type:            cf.F(queues.ConsumerNewParamsBodyMqWorkerConsumerRequestTypeWorker),
		ScriptName:      cf.F("mailer"),
		DeadLetterQueue: cf.F("dead"),
		Settings: cf.F(queues.ConsumerNewParamsBodyMqWorkerConsumerRequestSettings{
			BatchSize: cf.F(50.0), MaxWaitTimeMs: cf.F(100.0), MaxConcurrency: cf.F(2.0), RetryDelay: cf.F(86_400.0), MaxRetries: cf.F(0.0),
		}),
	}
	w, err := c.Queues.Consumers.New(ctx, id, queues.ConsumerNewParams{AccountID: inAccount, Body: worker})
	require.NoError(t, err)
	assert.Equal(t, queues.ConsumerTypeWorker, w.Type)
	assert.Equal(t, "mailer", w.ScriptName)
	assert.Equal(t, "orders", w.QueueName)
	assert.Equal(t, "dead", w.DeadLetterQueue)
	settings, ok := w.Settings.(queues.ConsumerMqWorkerConsumerResponseSettings)
	require.True(t, ok, "%T", w.Settings)
	assert.Equal(t, 50.0, settings.BatchSize)
	assert.Equal(t, 100.0, settings.MaxWaitTimeMs)
	assert.Equal(t, 0.0, settings.MaxRetries)
	assert.Equal(t, 86_400.0, settings.RetryDelay)

	_, err = c.Queues.Consumers.New(ctx, id, queues.ConsumerNewParams{AccountID: inAccount, Body: worker})
	c.fails(t, err, 409, 11004, "workers.api.error.consumer_exists")
	worker.Settings = cf.F(queues.ConsumerNewParamsBodyMqWorkerConsumerRequestSettings{BatchSize: cf.F(101.0)})
	_, err = c.Queues.Consumers.New(ctx, c.queue(t, "other"), queues.ConsumerNewParams{AccountID: inAccount, Body: worker})
	c.fails(t, err, 400, 100127, "batch_size is 101, allowed: 1 to 100")

	got, err := c.Queues.Consumers.Get(ctx, id, w.ConsumerID, queues.ConsumerGetParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, w.ConsumerID, got.ConsumerID)
	list, err := c.Queues.Consumers.List(ctx, id, queues.ConsumerListParams{AccountID: inAccount})
	require.NoError(t, err)
	require.Len(t, list.Result, 1)
	q, err := c.Queues.Get(ctx, id, queues.QueueGetParams{AccountID: inAccount})
	require.NoError(t, err)
	require.Len(t, q.Consumers, 1)
	assert.Equal(t, "mailer", q.Consumers[0].ScriptName)

	changed, err := c.Queues.Consumers.Update(ctx, id, w.ConsumerID, queues.ConsumerUpdateParams{AccountID: inAccount,
		Body: queues.ConsumerUpdateParamsBodyMqWorkerConsumerRequest{
			Type: cf.F(queues.ConsumerUpdateParamsBodyMqWorkerConsumerRequestTypeWorker), ScriptName: cf.F("mailer"),
		}})
	require.NoError(t, err)
	assert.Equal(t, 10.0, changed.Settings.(queues.ConsumerMqWorkerConsumerResponseSettings).BatchSize)
	assert.Empty(t, changed.DeadLetterQueue)

	gone, err := c.Queues.Consumers.Delete(ctx, id, w.ConsumerID, queues.ConsumerDeleteParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, queues.ConsumerDeleteResponseSuccessTrue, gone.Success)
	_, err = c.Queues.Consumers.Get(ctx, id, w.ConsumerID, queues.ConsumerGetParams{AccountID: inAccount})
	c.fails(t, err, 404, 11006, "consumer not found")
}

// What later versions of the SDK have methods for.
func TestTokens(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	for token, text := range map[string]string{"wrong": "not valid", "reader": "lacks queues_write"} {
		_, err := c.as(option.WithAPIToken(token)).Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("orders")})
		c.fails(t, err, 403, 10000, text)
	}
	_, err := c.as(option.WithAPIToken("reader")).Queues.List(ctx, queues.QueueListParams{AccountID: inAccount})
	require.NoError(t, err)
	_, err = c.as(option.WithAPIKey("secret"), option.WithAPIEmail("a@example.org")).Queues.List(ctx, queues.QueueListParams{AccountID: inAccount})
	require.NoError(t, err)
	_, err = c.Queues.List(ctx, queues.QueueListParams{AccountID: cf.F(unknown)})
	c.fails(t, err, 403, 10000, "not for this account")
}

// A message goes from the SDK to a handler in Go.
