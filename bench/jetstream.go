package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var jetstreamContestant = Contestant{
	Name:    "JetStream, memory",
	Modules: []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"},
	How: "nats-server embedded, connected in process; a stream in memory with work-queue retention. Send is Publish, which returns when the stream has the message; " +
		"SendBatch is 100 times PublishAsync, and waits for all. One pull consumer with explicit acks (50,000 pending at most), read by one Consume for each handler, which fetches ahead.",
	Promises: Promises{
		IDs: "sequence number", Acks: "per message", Retries: "Nak or deadline, counted, with backoff", Delays: "scheduled messages, to the second (not measured)",
		DeadLetters: "– (an advisory)", Order: "that of sending", Survives: "a client that crashes; on disk also the server",
	},
	Open: openJetStream,
}

type jetStreamQueue struct {
	setup    Setup
	dir      string
	server   *server.Server
	conn     *nats.Conn
	js       jetstream.JetStream
	consumer jetstream.Consumer
	reading  []jetstream.ConsumeContext
}

func openJetStream(s Setup) (_ Queue[[]byte], err error) {
	q := &jetStreamQueue{setup: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.Close())
		}
	}()
	if q.dir, err = os.MkdirTemp("", "jetstream"); err != nil { // it wants one for streams in memory too
		return nil, err
	}
	if q.server, err = server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: q.dir, NoSigs: true, NoLog: true}); err != nil {
		return nil, err
	}
	q.server.Start()
	if !q.server.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("the server is not ready after 10 s")
	}
	if q.conn, err = nats.Connect("", nats.InProcessServer(q.server)); err != nil {
		return nil, err
	}
	if q.js, err = jetstream.New(q.conn); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := q.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: topic, Subjects: []string{topic}, Storage: jetstream.MemoryStorage, Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		return nil, err
	}
	q.consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: topic, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 50_000,
	})
	return q, err
}

func (q *jetStreamQueue) Send(ctx context.Context, body []byte) error {
	_, err := q.js.Publish(ctx, topic, body)
	return err
}

func (q *jetStreamQueue) SendBatch(ctx context.Context, bodies [][]byte) error {
	futures := make([]jetstream.PubAckFuture, len(bodies))
	for i, body := range bodies {
		var err error
		if futures[i], err = q.js.PublishAsync(topic, body); err != nil {
			return err
		}
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (q *jetStreamQueue) Consume(sink Sink[[]byte]) error {
	for handler := range q.setup.Handlers {
		reading, err := q.consumer.Consume(func(m jetstream.Msg) {
			sink(handler, m.Data())
			_ = m.Ack() // Settle looks whether all have arrived
		})
		if err != nil {
			return err
		}
		q.reading = append(q.reading, reading)
	}
	return nil
}

func (q *jetStreamQueue) Settle(ctx context.Context) error {
	return eventually(ctx, func() (bool, error) {
		info, err := q.consumer.Info(ctx)
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0, err
	})
}

func (q *jetStreamQueue) Close() error {
	for _, r := range q.reading {
		r.Stop()
		<-r.Closed()
	}
	if q.conn != nil {
		q.conn.Close()
	}
	if q.server != nil {
		q.server.Shutdown()
		q.server.WaitForShutdown()
	}
	return os.RemoveAll(q.dir)
}
