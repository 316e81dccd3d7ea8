package inproq_test

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A pullShadow is what should be true of one message.
type pullShadow struct {
	headers  bool
	attempts int
	ready    time.Time // when its delay is over
	lease    string    // the latest, unless it was settled
	until    time.Time // when that runs out
	gone     bool      // acknowledged, or in the dead-letter queue
}

func (m *pullShadow) leased(now time.Time) bool  { return m.lease != "" && now.Before(m.until) }
func (m *pullShadow) delayed(now time.Time) bool { return m.lease == "" && now.Before(m.ready) }
func (m *pullShadow) waits(now time.Time) bool {
	return !m.gone && !m.leased(now) && !m.delayed(now)
}

// A pullTicket is a lease id that was handed out.
type pullTicket struct {
	id      string
	message inproq.MessageID
	attempt int
	headers bool // it knows the headers that a dead letter needs
}

// A pullOracle says in few words what pulling means. It knows nothing of stores,
// batches and policies.
type pullOracle struct {
	t          require.TestingT
	messages   map[inproq.MessageID]*pullShadow
	tickets    []pullTicket
	consumer   bool
	maxRetries int
	retryDelay time.Duration
	visibility time.Duration
	letters    int
}

// pulled checks what a pull of up to most messages has returned, and buried.
func (o *pullOracle) pulled(most int, visibility time.Duration, got []inproq.PulledMessage, buried []inproq.PeekedMessage) {
	now := time.Now()
	for i := range buried {
		m := o.messages[buried[i].ID]
		require.NotNil(o.t, m)
		letter, _ := buried[i].DeadLetter()
		require.True(o.t, m.waits(now) && m.attempts > o.maxRetries, "buried: %+v", m)
		require.Equal(o.t, inproq.Crashed, letter.Reason)
		require.Equal(o.t, m.attempts, letter.Attempts)
		m.gone = true
		o.letters++
	}
	for i := range got {
		m := o.messages[got[i].ID]
		require.NotNil(o.t, m)
		require.True(o.t, m.waits(now) && m.attempts <= o.maxRetries, "pulled: %+v", m)
		m.attempts++
		require.Equal(o.t, m.attempts, got[i].Attempts)
		m.lease, m.until = got[i].LeaseID, now.Add(visibility)
		o.tickets = append(o.tickets, pullTicket{
			id: m.lease, message: got[i].ID, attempt: m.attempts, headers: !m.headers || m.attempts > o.maxRetries,
		})
	}
	require.LessOrEqual(o.t, len(got), most)
	if len(got) == 0 || len(got)+len(buried) < most {
		for _, m := range o.messages {
			require.False(o.t, m.waits(now), "left: %+v", m)
		}
	}
}

// A pullOrder is what a settlement asks of one lease.
type pullOrder struct {
	verb  string // "ack", "retry", "extend"
	id    string
	delay time.Duration // as in a LeaseDelay
}

// settle says what a settlement does. It takes the orders in the order in which they
// count: acks, retries, extensions.
func (o *pullOracle) settle(orders []pullOrder) (want inproq.SettleResult, warned []string) {
	now := time.Now()
	named := make(map[string]bool)
	for _, x := range orders {
		ticket, m := o.find(x.id)
		switch {
		case ticket == nil || named[x.id]:
			warned = append(warned, x.id)
			continue
		case m.gone || m.lease != x.id:
			named[x.id] = true
			warned = append(warned, x.id)
			continue
		}
		named[x.id] = true
		switch x.verb {
		case "ack":
			m.gone = true
			want.Acked++
		case "retry":
			o.retry(m, ticket, x.delay, now)
			want.Retried++
		case "extend":
			m.until = now.Add(o.extension(x.delay))
			want.Extended++
		}
	}
	return want, warned
}

func (o *pullOracle) retry(m *pullShadow, ticket *pullTicket, delay time.Duration, now time.Time) {
	m.lease, m.ready = "", now
	switch spent := o.consumer && ticket.attempt > o.maxRetries; {
	case spent && ticket.headers:
		m.gone = true
		o.letters++
	case spent: // the next pull buries it
	case delay > 0:
		m.ready = now.Add(delay)
	case delay == 0 && o.consumer:
		m.ready = now.Add(o.retryDelay)
	}
}

// extension is how long a lease is extended: by default as the consumer's settings
// say, and without a consumer for 30 seconds.
func (o *pullOracle) extension(said time.Duration) time.Duration {
	switch {
	case said > 0:
		return said
	case o.consumer:
		return o.visibility
	}
	return 30 * time.Second
}

// find returns a lease and its message, nil if it was never handed out.
func (o *pullOracle) find(id string) (*pullTicket, *pullShadow) {
	for i := range o.tickets {
		if o.tickets[i].id == id {
			return &o.tickets[i], o.messages[o.tickets[i].message]
		}
	}
	return nil, nil
}

// backlog says how many messages wait, are delayed, and are leased.
func (o *pullOracle) backlog() string {
	now := time.Now()
	ready, delayed, leased := 0, 0, 0
	for _, m := range o.messages {
		switch {
		case m.gone:
		case m.leased(now):
			leased++
		case m.delayed(now):
			delayed++
		default:
			ready++
		}
	}
	return fmt.Sprintf("ready %d, delayed %d, leased %d, dead %d", ready, delayed, leased, o.letters)
}
