package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	cf "github.com/cloudflare/cloudflare-go/v6"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/queues"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
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

func TestQueues(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	q, err := c.Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("orders")})
	require.NoError(t, err)
	assert.Regexp(t, "^[0-9a-f]{32}$", q.QueueID)
	assert.Equal(t, "orders", q.QueueName)
	_, err = time.Parse(time.RFC3339, q.CreatedOn)
	assert.NoError(t, err)
	assert.Equal(t, float64(345_600), q.Settings.MessageRetentionPeriod)

	start := time.Now()
	_, err = c.Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("orders")})
	fails(t, start, err, 409, 11009, "Queue name 'orders' is already taken. Please use a different name and try again.")
	_, err = c.Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("bad_name")})
	fails(t, start, err, 400, 11003, "bad_name")

	got, err := c.Queues.Get(ctx, q.QueueID, queues.QueueGetParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, "orders", got.QueueName)
	_, err = c.Queues.Get(ctx, unknown, queues.QueueGetParams{AccountID: inAccount})
	fails(t, time.Now(), err, 404, 11000, "not found")

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
	fails(t, time.Now(), err, 400, 100128, "delivery_delay is 86401, allowed: 0 to 86400")

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
	fails(t, time.Now(), err, 404, 11000, "not found")
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
	fails(t, time.Now(), err, 409, 11004, "workers.api.error.consumer_exists")
	worker.Settings = cf.F(queues.ConsumerNewParamsBodyMqWorkerConsumerRequestSettings{BatchSize: cf.F(101.0)})
	_, err = c.Queues.Consumers.New(ctx, c.queue(t, "other"), queues.ConsumerNewParams{AccountID: inAccount, Body: worker})
	fails(t, time.Now(), err, 400, 100127, "batch_size is 101, allowed: 1 to 100")

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
	fails(t, time.Now(), err, 404, 11006, "consumer not found")
}

func TestMessages(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	id := c.pulled(t, "orders")
	pushed, err := c.Queues.Messages.Push(ctx, id, queues.MessagePushParams{AccountID: inAccount, Body: queues.MessagePushParamsBodyMqQueueMessageJson{
		Body:        cf.F[any](map[string]int{"a": 1}),
		ContentType: cf.F(queues.MessagePushParamsBodyMqQueueMessageJsonContentTypeJson), DelaySeconds: cf.F(0.0),
	}})
	require.NoError(t, err)
	assert.Equal(t, 0.0, pushed.Metadata.Metrics.BacklogCount)
	batch, err := c.Queues.Messages.BulkPush(ctx, id, queues.MessageBulkPushParams{AccountID: inAccount, Messages: cf.F([]queues.MessageBulkPushParamsMessageUnion{
		queues.MessageBulkPushParamsMessagesMqQueueMessageText{Body: cf.F("x"), ContentType: cf.F(queues.MessageBulkPushParamsMessagesMqQueueMessageTextContentTypeText)},
		queues.MessageBulkPushParamsMessagesMqQueueMessageText{Body: cf.F("later"), ContentType: cf.F(queues.MessageBulkPushParamsMessagesMqQueueMessageTextContentTypeText), DelaySeconds: cf.F(86_400.0)},
	})})
	require.NoError(t, err)
	assert.Equal(t, 1.0, batch.Metadata.Metrics.BacklogCount)

	_, err = c.Queues.Messages.Push(ctx, id, queues.MessagePushParams{AccountID: inAccount, Body: queues.MessagePushParamsBodyMqQueueMessageText{
		Body: cf.F(string(make([]byte, 128_001))), ContentType: cf.F(queues.MessagePushParamsBodyMqQueueMessageTextContentTypeText),
	}})
	fails(t, time.Now(), err, 413, 10204, "128001 bytes, the limit is 128000")
	_, err = c.Queues.Messages.BulkPush(ctx, id, queues.MessageBulkPushParams{AccountID: inAccount, Messages: cf.F([]queues.MessageBulkPushParamsMessageUnion{})})
	fails(t, time.Now(), err, 400, 10206, "at least one message")
	_, err = c.Queues.Messages.BulkPush(ctx, id, queues.MessageBulkPushParams{AccountID: inAccount, DelaySeconds: cf.F(86_401.0)})
	fails(t, time.Now(), err, 400, 10202, "delay_seconds")

	pull := func() *queues.MessagePullResponse {
		res, err := c.Queues.Messages.Pull(ctx, id, queues.MessagePullParams{AccountID: inAccount, BatchSize: cf.F(10.0), VisibilityTimeoutMs: cf.F(60_000.0)})
		require.NoError(t, err)
		return res
	}
	first := pull()
	require.Len(t, first.Messages, 2)
	assert.Equal(t, 3.0, first.MessageBacklogCount)
	assert.Equal(t, 3.0, first.Metadata.Metrics.BacklogCount)
	body, err := base64.StdEncoding.DecodeString(first.Messages[0].Body)
	require.NoError(t, err)
	assert.JSONEq(t, `{"a":1}`, string(body))
	assert.Equal(t, "x", first.Messages[1].Body)
	assert.Equal(t, map[string]any{"CF-Content-Type": "text", "CF-sourceMessageSource": "inproq"}, first.Messages[1].Metadata)
	assert.Equal(t, 1.0, first.Messages[0].Attempts)
	assert.Empty(t, pull().Messages)

	acked, err := c.Queues.Messages.Ack(ctx, id, queues.MessageAckParams{AccountID: inAccount,
		Acks:    cf.F([]queues.MessageAckParamsAck{{LeaseID: cf.F(first.Messages[0].LeaseID)}, {LeaseID: cf.F("nonsense")}}),
		Retries: cf.F([]queues.MessageAckParamsRetry{{LeaseID: cf.F(first.Messages[1].LeaseID), DelaySeconds: cf.F(0.0)}}),
	})
	require.NoError(t, err)
	assert.Equal(t, 1.0, acked.AckCount)
	assert.Equal(t, 1.0, acked.RetryCount)
	assert.Contains(t, acked.Warnings["nonsense"], "not a lease id")
	again := pull()
	require.Len(t, again.Messages, 1)
	assert.Equal(t, 2.0, again.Messages[0].Attempts)

	// Paused: 409, at once.
	_, err = c.Queues.Edit(ctx, id, queues.QueueEditParams{AccountID: inAccount, Queue: queues.QueueParam{Settings: cf.F(queues.QueueSettingsParam{DeliveryPaused: cf.F(true)})}})
	require.NoError(t, err)
	start := time.Now()
	_, err = c.Queues.Messages.Pull(ctx, id, queues.MessagePullParams{AccountID: inAccount})
	fails(t, start, err, 409, 0, "queue_delivery_paused")

	started, err := c.Queues.Purge.Start(ctx, id, queues.PurgeStartParams{AccountID: inAccount, DeleteMessagesPermanently: cf.F(true)})
	require.NoError(t, err)
	assert.Equal(t, "orders", started.QueueName)
	status, err := c.Queues.Purge.Status(ctx, id, queues.PurgeStatusParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, "true", status.Completed)
	_, err = time.Parse(time.RFC3339, status.StartedAt)
	assert.NoError(t, err)
	_, err = c.Queues.Purge.Start(ctx, id, queues.PurgeStartParams{AccountID: inAccount, DeleteMessagesPermanently: cf.F(false)})
	fails(t, time.Now(), err, 400, 10207, "should be true")

	start = time.Now()
	_, err = c.Queues.Messages.Pull(ctx, c.queue(t, "unpulled"), queues.MessagePullParams{AccountID: inAccount})
	fails(t, start, err, 405, 0, "messages cannot be pulled unless http_pull mode is enabled")
	_, err = c.Queues.Messages.Push(ctx, unknown, queues.MessagePushParams{AccountID: inAccount, Body: queues.MessagePushParamsBodyMqQueueMessageText{Body: cf.F("x")}})
	fails(t, time.Now(), err, 404, 10104, "not found")
}

// What later versions of the SDK have methods for.
func TestMetricsPeekAndPurgeOfMessages(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	id := c.pulled(t, "orders")
	at := "accounts/" + account + "/queues/" + id
	type object = map[string]any
	require.NoError(t, c.Post(ctx, at+"/messages/batch", object{"messages": []object{{"body": "a", "content_type": "text"}, {"body": "b", "content_type": "text"}}}, nil))
	var metrics struct {
		Result struct {
			Count int `json:"backlog_count"`
		}
	}
	require.NoError(t, c.Client.Get(ctx, at+"/metrics", nil, &metrics))
	assert.Equal(t, 2, metrics.Result.Count)
	var peeked struct {
		Result struct{ Messages []struct{ Ref, Body string } }
	}
	for range 2 {
		require.NoError(t, c.Post(ctx, at+"/messages/peek", object{"batch_size": 1}, &peeked))
		require.Len(t, peeked.Result.Messages, 1)
		assert.Equal(t, "a", peeked.Result.Messages[0].Body)
	}
	var purged struct {
		Result struct{ Warnings map[string]string }
	}
	refs := object{"refs": []object{{"ref": peeked.Result.Messages[0].Ref}}}
	require.NoError(t, c.Post(ctx, at+"/messages/purge", refs, &purged))
	assert.Empty(t, purged.Result.Warnings)
	require.NoError(t, c.Post(ctx, at+"/messages/purge", refs, &purged))
	assert.Len(t, purged.Result.Warnings, 1)
	require.NoError(t, c.Client.Get(ctx, at+"/metrics", nil, &metrics))
	assert.Equal(t, 1, metrics.Result.Count)
}

func TestTokens(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	for token, text := range map[string]string{"wrong": "not valid", "reader": "lacks queues_write"} {
		_, err := c.as(option.WithAPIToken(token)).Queues.New(ctx, queues.QueueNewParams{AccountID: inAccount, QueueName: cf.F("orders")})
		fails(t, time.Now(), err, 403, 10000, text)
	}
	_, err := c.as(option.WithAPIToken("reader")).Queues.List(ctx, queues.QueueListParams{AccountID: inAccount})
	require.NoError(t, err)
	_, err = c.as(option.WithAPIKey("secret"), option.WithAPIEmail("a@example.org")).Queues.List(ctx, queues.QueueListParams{AccountID: inAccount})
	require.NoError(t, err)
	_, err = c.Queues.List(ctx, queues.QueueListParams{AccountID: cf.F(unknown)})
	fails(t, time.Now(), err, 403, 10000, "not for this account")
}

// A message goes from the SDK to a handler in Go.
func TestPushToAHandler(t *testing.T) {
	c, ctx := newCloud(t), t.Context()
	got := make(chan string, 1)
	require.NoError(t, inproq.Handle(c.broker, "mailer", inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
		got <- m.Body
		return nil
	})))
	id := c.queue(t, "orders")
	_, err := c.Queues.Consumers.New(ctx, id, queues.ConsumerNewParams{AccountID: inAccount, Body: queues.ConsumerNewParamsBodyMqWorkerConsumerRequest{
		Type: cf.F(queues.ConsumerNewParamsBodyMqWorkerConsumerRequestTypeWorker), ScriptName: cf.F("mailer"),
		Settings: cf.F(queues.ConsumerNewParamsBodyMqWorkerConsumerRequestSettings{MaxWaitTimeMs: cf.F(0.0)}),
	}})
	require.NoError(t, err)
	_, err = c.Queues.Messages.Push(ctx, id, queues.MessagePushParams{AccountID: inAccount, Body: queues.MessagePushParamsBodyMqQueueMessageText{
		Body: cf.F("hello"), ContentType: cf.F(queues.MessagePushParamsBodyMqQueueMessageTextContentTypeText),
	}})
	require.NoError(t, err)
	select {
	case body := <-got:
		assert.Equal(t, "hello", body)
	case <-time.After(10 * time.Second):
		assert.Fail(t, "the handler got nothing")
	}
}
