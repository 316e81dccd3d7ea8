package e2e

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	cf "github.com/cloudflare/cloudflare-go/v6"
	"github.com/cloudflare/cloudflare-go/v6/queues"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

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
	c.fails(t, err, 413, 10204, "128001 bytes, the limit is 128000")
	_, err = c.Queues.Messages.BulkPush(ctx, id, queues.MessageBulkPushParams{AccountID: inAccount, Messages: cf.F([]queues.MessageBulkPushParamsMessageUnion{})})
	c.fails(t, err, 400, 10206, "at least one message")
	_, err = c.Queues.Messages.BulkPush(ctx, id, queues.MessageBulkPushParams{AccountID: inAccount, DelaySeconds: cf.F(86_401.0)})
	c.fails(t, err, 400, 10202, "delay_seconds")

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
	_, err = c.Queues.Messages.Pull(ctx, id, queues.MessagePullParams{AccountID: inAccount})
	c.fails(t, err, 409, 0, "queue_delivery_paused")

	started, err := c.Queues.Purge.Start(ctx, id, queues.PurgeStartParams{AccountID: inAccount, DeleteMessagesPermanently: cf.F(true)})
	require.NoError(t, err)
	assert.Equal(t, "orders", started.QueueName)
	status, err := c.Queues.Purge.Status(ctx, id, queues.PurgeStatusParams{AccountID: inAccount})
	require.NoError(t, err)
	assert.Equal(t, "true", status.Completed)
	_, err = time.Parse(time.RFC3339, status.StartedAt)
	assert.NoError(t, err)
	_, err = c.Queues.Purge.Start(ctx, id, queues.PurgeStartParams{AccountID: inAccount, DeleteMessagesPermanently: cf.F(false)})
	c.fails(t, err, 400, 10207, "should be true")

	_, err = c.Queues.Messages.Pull(ctx, c.queue(t, "unpulled"), queues.MessagePullParams{AccountID: inAccount})
	c.fails(t, err, 405, 0, "messages cannot be pulled unless http_pull mode is enabled")
	_, err = c.Queues.Messages.Push(ctx, unknown, queues.MessagePushParams{AccountID: inAccount, Body: queues.MessagePushParamsBodyMqQueueMessageText{Body: cf.F("x")}})
	c.fails(t, err, 404, 10104, "not found")
}

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
