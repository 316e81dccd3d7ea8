package inproq_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproq/inproq"
)

// A pullModel does random things to a broker and to an oracle.
type pullModel struct {
	*rapid.T
	pullOracle
	ctx    context.Context
	broker *inproq.Broker
	queue  *inproq.Queue[string]
	paused bool
	seen   map[inproq.MessageID]bool // in the dead-letter queue
}

func TestPullModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			b, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
			require.NoError(rt, err)
			defer func() { _ = b.Shutdown(context.Background()) }()
			q, err := inproq.Declare[string](rt.Context(), b, "jobs", inproq.QueueConfig{})
			require.NoError(rt, err)
			m := &pullModel{
				T: rt, ctx: rt.Context(), broker: b, queue: q, seen: make(map[inproq.MessageID]bool),
				pullOracle: pullOracle{
					t: rt, messages: make(map[inproq.MessageID]*pullShadow), maxRetries: 1, visibility: 20 * time.Second,
				},
			}
			m.attach()
			steps := []func(){m.send, m.send, m.pull, m.pull, m.pull, m.settle, m.settle, m.settle, m.pass, m.pass, m.configure, m.pause, m.switchOff}
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				steps[m.choose("step", len(steps))]()
				m.compare()
			}
		})
	})
}

func (m *pullModel) choose(what string, n int) int { return rapid.IntRange(0, n-1).Draw(m.T, what) }

func (m *pullModel) seconds(what string, from ...int) time.Duration {
	return time.Duration(rapid.SampledFrom(from).Draw(m.T, what)) * time.Second
}

// attach gives the queue a pull consumer by the oracle's settings.
func (m *pullModel) attach() {
	_, err := m.broker.AttachConsumer(m.ctx, "jobs", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{
		VisibilityTimeout: m.visibility, DeadLetterQueue: "dead",
	}})
	require.NoError(m, err)
	m.consumer = true
	m.update()
}

func (m *pullModel) update() {
	_, err := m.broker.UpdateConsumer(m.ctx, "jobs", inproq.ConsumerUpdate{MaxRetries: &m.maxRetries, RetryDelay: &m.retryDelay})
	require.NoError(m, err)
}

func (m *pullModel) send() {
	delay := m.seconds("delay", 0, 0, 5, 60)
	opts := []inproq.SendOption{inproq.Delay(delay)}
	s := &pullShadow{headers: rapid.Bool().Draw(m.T, "headers"), ready: time.Now().Add(delay)}
	if s.headers {
		opts = append(opts, inproq.Header("Tenant", "acme"))
	}
	sent, err := m.queue.Send(m.ctx, "x", opts...)
	require.NoError(m, err)
	m.messages[sent.ID] = s
}

func (m *pullModel) pull() {
	req := inproq.PullRequest{BatchSize: rapid.IntRange(1, 4).Draw(m.T, "batch"), VisibilityTimeout: m.seconds("visibility", 0, 1, 10, 60)}
	res, err := m.broker.Pull(m.ctx, "jobs", req)
	switch {
	case !m.consumer:
		require.ErrorIs(m, err, inproq.ErrNotPullConsumer)
		return
	case m.paused:
		require.ErrorIs(m, err, inproq.ErrDeliveryPaused)
		return
	}
	require.NoError(m, err)
	if req.VisibilityTimeout == 0 {
		req.VisibilityTimeout = m.visibility
	}
	m.pulled(req.BatchSize, req.VisibilityTimeout, res.Messages, m.newLetters())
}

// newLetters returns the dead letters that were not there before.
func (m *pullModel) newLetters() (fresh []inproq.PeekedMessage) {
	all, err := m.broker.Peek(m.ctx, "dead", 1000)
	require.NoError(m, err)
	for _, x := range all {
		if m.seen[x.ID] {
			continue
		}
		m.seen[x.ID] = true
		require.Equal(m, m.messages[x.ID].headers, x.Headers["Tenant"] == "acme", "the headers of a dead letter")
		fresh = append(fresh, x)
	}
	return fresh
}

// settle names leases at random: new ones, old ones, some twice, and some that are none.
func (m *pullModel) settle() {
	var req inproq.SettleRequest
	var orders []pullOrder
	for _, verb := range []string{"ack", "retry", "extend"} {
		for range m.choose(verb, 4) {
			x := pullOrder{verb: verb, id: "none"}
			if n := len(m.tickets); n > 0 && m.choose("known", 10) > 0 {
				x.id = m.tickets[max(n-1-m.choose("which", 8), 0)].id
			}
			switch verb {
			case "ack":
				req.Acks = append(req.Acks, x.id)
			case "retry":
				x.delay = rapid.SampledFrom([]time.Duration{0, inproq.NoDelay, 3 * time.Second, time.Minute}).Draw(m.T, "delay")
				req.Retries = append(req.Retries, inproq.LeaseDelay{LeaseID: x.id, Delay: x.delay})
			case "extend":
				x.delay = m.seconds("extension", 0, 1, 60)
				req.Extends = append(req.Extends, inproq.LeaseDelay{LeaseID: x.id, Delay: x.delay})
			}
			orders = append(orders, x)
		}
	}
	want, warned := m.pullOracle.settle(orders)
	got, err := m.broker.Settle(m.ctx, "jobs", req)
	require.NoError(m, err)
	slices.Sort(warned)
	require.Equal(m, slices.Compact(warned), slices.Sorted(maps.Keys(got.Warnings)))
	got.Warnings = nil
	require.Equal(m, want, got)
	for _, x := range m.newLetters() {
		letter, _ := x.DeadLetter()
		require.Equal(m, inproq.RetriesExhausted, letter.Reason)
		require.True(m, m.messages[x.ID].gone, "dead: %+v", m.messages[x.ID])
		require.Equal(m, m.messages[x.ID].attempts, letter.Attempts)
	}
}

func (m *pullModel) pass() { time.Sleep(m.seconds("time", 1, 3, 10, 30, 90)) }

func (m *pullModel) configure() {
	m.maxRetries, m.retryDelay = m.choose("retries", 4), m.seconds("retry delay", 0, 7)
	if m.consumer {
		m.update()
	}
}

func (m *pullModel) pause() {
	m.paused = !m.paused
	_, err := m.broker.UpdateQueue(m.ctx, "jobs", inproq.QueueUpdate{DeliveryPaused: &m.paused})
	require.NoError(m, err)
}

func (m *pullModel) switchOff() {
	if !m.consumer {
		m.attach()
		return
	}
	require.NoError(m, m.broker.RemoveConsumer(m.ctx, "jobs"))
	m.consumer = false
}

func (m *pullModel) compare() {
	b, err := m.broker.Backlog(m.ctx, "jobs")
	require.NoError(m, err)
	dead, err := m.broker.Metrics(m.ctx, "dead")
	require.NoError(m, err)
	require.Equal(m, m.backlog(), fmt.Sprintf("ready %d, delayed %d, leased %d, dead %d", b.Ready, b.Delayed, b.Leased, dead.BacklogCount))
}
