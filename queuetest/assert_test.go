package queuetest_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// failure is what an assertion says, "" if it holds.
func failure(t *testing.T, assertion func(t testing.TB) bool) string {
	t.Helper()
	f := &fakeT{TB: t}
	ok := assertion(f)
	require.False(t, f.fatal, "the test goes on")
	if ok {
		require.Empty(t, f.errors)
		return ""
	}
	require.Len(t, f.errors, 1)
	return f.errors[0]
}

func TestAssertionsCompareWithoutOrder(t *testing.T) {
	tests := map[string]struct {
		sent, want []string
		failure    string
	}{
		"nothing":       {},
		"the same":      {[]string{"a", "b"}, []string{"a", "b"}, ""},
		"another order": {[]string{"a", "b", "a"}, []string{"b", "a", "a"}, ""},
		"one missing":   {[]string{"a"}, []string{"a", "b"}, "sent 1, want 2:\n  missing:    \"b\""},
		"one too many":  {[]string{"a", "b"}, []string{"b"}, "sent 2, want 1:\n  unexpected: \"a\""},
		"none wanted":   {[]string{"a"}, nil, "sent 1, want 0:\n  unexpected: \"a\""},
		"too few times": {[]string{"a"}, []string{"a", "a"}, "sent 1, want 2:\n  missing:    \"a\""},
		"too often":     {[]string{"a", "a"}, []string{"a"}, "sent 2, want 1:\n  unexpected: \"a\""},
		"others":        {[]string{"a", "b"}, []string{"c", "b"}, "sent 2, but not those wanted:\n  missing:    \"c\"\n  unexpected: \"a\""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rec := queuetest.NewRecorder[string](t)
			for _, body := range test.sent {
				_, err := rec.Send(t.Context(), body)
				require.NoError(t, err)
			}
			want := test.failure
			if want != "" {
				want = "queuetest: recorder: " + want
			}
			assert.Equal(t, want, failure(t, func(t testing.TB) bool { return queuetest.AssertSent(t, rec, test.want...) }))
		})
	}
}

func TestAssertNotSent(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	assert.True(t, queuetest.AssertNotSent(t, rec))
	send(t, rec, "a", "b", "a")
	assert.True(t, queuetest.AssertNotSent(t, rec, "c"))
	assert.Equal(t, "queuetest: recorder: sent 3 that should not have been:\n  unexpected: \"a\"\n  unexpected: \"b\"\n  unexpected: \"a\"",
		failure(t, func(t testing.TB) bool { return queuetest.AssertNotSent(t, rec) }))
	assert.Equal(t, "queuetest: recorder: sent 1 that should not have been:\n  unexpected: \"b\"",
		failure(t, func(t testing.TB) bool { return queuetest.AssertNotSent(t, rec, "c", "b") }))
}

// One vocabulary for a whole queue; what is missing is told from the messages that
// have the body.
func TestAssertionsOnAQueue(t *testing.T) {
	observed(t, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], o *queuetest.Observer[string]) {
		_, err := q.Consume(refuse("bad"), inproq.ConsumerConfig{MaxRetries: 2, DeadLetterQueue: "dead"})
		require.NoError(t, err)
		queuetest.Start(t, b)
		send(t, q, "good", "bad", "fine")
		queuetest.Drain(t, b)

		queuetest.AssertSent(t, o, "good", "fine", "bad")
		queuetest.AssertNotSent(t, o, "other")
		queuetest.AssertAcked(t, o, "fine", "good")
		queuetest.AssertRetried(t, o, "bad", "bad")
		queuetest.AssertDeadLettered(t, o, "bad")

		assert.Equal(t, `queuetest: queue "q": acknowledged 2, but not those wanted:
  missing:    "bad": retried twice, then dead-lettered to "dead": mailbox full
  unexpected: "fine": acknowledged`, failure(t, func(t testing.TB) bool { return queuetest.AssertAcked(t, o, "good", "bad") }))
		assert.Equal(t, `queuetest: queue "q": retried 2, want 3:
  missing:    "good": acknowledged`, failure(t, func(t testing.TB) bool { return queuetest.AssertRetried(t, o, "bad", "good", "bad") }))
		assert.Equal(t, `queuetest: queue "q": dead-lettered 1, want 0:
  unexpected: "bad": retried twice, then dead-lettered to "dead": mailbox full`,
			failure(t, func(t testing.TB) bool { return queuetest.AssertDeadLettered(t, o) }))
		assert.Equal(t, `queuetest: queue "q": sent 3, want 4:
  missing:    "other": not seen in the queue`,
			failure(t, func(t testing.TB) bool { return queuetest.AssertSent(t, o, "good", "bad", "fine", "other") }))
	})
}

// Several messages with one body are told one by one.
func TestMissingMessagesAreToldOneByOne(t *testing.T) {
	observed(t, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], o *queuetest.Observer[string]) {
		_, err := q.Consume(func(_ context.Context, batch *inproq.MessageBatch[string]) error {
			for i, m := range batch.Messages {
				if i == 1 && m.Attempts == 1 {
					m.Retry(inproq.Delay(time.Hour))
				}
			}
			return nil
		}, inproq.ConsumerConfig{MaxBatchSize: 2})
		require.NoError(t, err)
		queuetest.Start(t, b)
		send(t, q, "a", "a", "a")
		time.Sleep(time.Minute)
		assert.Equal(t, `queuetest: queue "q": acknowledged 2, want 4:
  missing:    "a": retried, delayed by 1h0m0s
  missing:    "a": acknowledged`, failure(t, func(t testing.TB) bool { return queuetest.AssertAcked(t, o, "a", "a", "a", "a") }))
	})
}

func TestAssertionsOnAResult(t *testing.T) {
	r := queuetest.Deliver(t.Context(), refuse("bad"), batchOf("good", "bad"))
	queuetest.AssertAcked(t, r, "good")
	queuetest.AssertRetried(t, r, "bad")
	assert.Equal(t, `queuetest: batch of queue "q": acknowledged 1, want 3:
  missing:    "bad": retried: mailbox full
  missing:    "other": not in the batch`,
		failure(t, func(t testing.TB) bool { return queuetest.AssertAcked(t, r, "good", "bad", "other") }))
	r = settle(nil, retryIn(time.Minute))
	assert.Equal(t, `queuetest: batch of queue "q": retried 1, want 0:
  unexpected: "called on": retried, delayed by 1m0s`, failure(t, func(t testing.TB) bool { return queuetest.AssertRetried(t, r) }))
}

func TestBodiesAreShownInOneLine(t *testing.T) {
	type order struct {
		ID   int
		Note string `json:"note,omitempty"`
		Ref  *int
	}
	tests := map[string]struct {
		body any
		want string
	}{
		"text":              {"a <b>\n", `"a <b>\n"`},
		"bytes":             {[]byte("\x00a"), `"\x00a"`},
		"number":            {7, "7"},
		"struct":            {order{ID: 1, Ref: new(2)}, `{"ID":1,"Ref":2}`},
		"not for JSON":      {math.NaN(), "NaN"},
		"a panic in JSON":   {panics{}, "{}"},
		"a huge text":       {strings.Repeat("x", 1000), `"` + strings.Repeat("x", 199) + "… (1002 bytes)"},
		"huge bytes":        {[]byte(strings.Repeat("x", 1000)), `"` + strings.Repeat("x", 200) + `"… (1000 bytes)`},
		"cut between runes": {strings.Repeat("ä", 500), `"` + strings.Repeat("ä", 99) + "… (1002 bytes)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := queuetest.ResultOf(queuetest.NewBatch("q", queuetest.Messages(test.body)...), nil)
			text := failure(t, func(t testing.TB) bool { return queuetest.AssertRetried(t, r, test.body) })
			_, shown, _ := strings.Cut(text, "missing:    ")
			fate := ": acknowledged"
			if name == "not for JSON" { // and not equal to itself
				fate = ": not in the batch"
			}
			assert.Equal(t, test.want+fate, shown)
		})
	}
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("ouch") }

func TestManyLinesAreCut(t *testing.T) {
	rec := queuetest.NewRecorder[int](t)
	want := make([]int, 25)
	text := failure(t, func(t testing.TB) bool { return queuetest.AssertSent(t, rec, want...) })
	assert.Equal(t, 20, strings.Count(text, "missing:    0"))
	assert.True(t, strings.HasSuffix(text, "\n  missing:    and 5 more"), text)
}

// The most frequent puzzle: a body that was decoded differs from the one that was
// sent in what is not to be seen.
func TestBodiesThatLookAlikeAreExplained(t *testing.T) {
	type body struct{ Name, secret string }
	b, _ := newQueue(t, inproq.Config{})
	q, err := inproq.Declare[body](t.Context(), b, "bodies", inproq.QueueConfig{})
	require.NoError(t, err)
	o := queuetest.Observe(t, q)
	_, err = q.Send(t.Context(), body{"ada", "x"})
	require.NoError(t, err)
	queuetest.AssertSent(t, o, body{Name: "ada"})
	text := failure(t, func(t testing.TB) bool { return queuetest.AssertSent(t, o, body{"ada", "x"}) })
	assert.Contains(t, text, "\n  Some look alike: reflect.DeepEqual")
	text = failure(t, func(t testing.TB) bool { return queuetest.AssertSent(t, o, body{"alan", "x"}) })
	assert.NotContains(t, text, "look alike")
}

func TestLongErrorsAreCut(t *testing.T) {
	r := queuetest.ResultOf(batchOf("a"), errors.New("first\n"+strings.Repeat("x", 1000)))
	text := failure(t, func(t testing.TB) bool { return queuetest.AssertAcked(t, r, "a") })
	assert.Contains(t, text, `"a": retried: first\nxxx`)
	assert.True(t, strings.HasSuffix(text, "x…"))
	assert.Less(t, len(text), 400)
}

func TestAssertBudget(t *testing.T) {
	observed(t, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], _ *queuetest.Observer[string]) {
		other, err := inproq.Declare[string](t.Context(), b, "other", inproq.QueueConfig{})
		require.NoError(t, err)
		price := inproq.Price{PerMillion: 100_000, Currency: "EUR"} // each costs 1, in three days
		send(t, q, "a")
		send(t, other, "a", "b")
		time.Sleep(3 * 24 * time.Hour)
		assert.True(t, queuetest.AssertBudget(t, b, price, 1, "q"))
		assert.True(t, queuetest.AssertBudget(t, b, price, 1, "q", "q"), "a queue is billed once")
		budget := func(most float64, queues ...string) string {
			return failure(t, func(t testing.TB) bool { return queuetest.AssertBudget(t, b, price, most, queues...) })
		}
		text := budget(0.5, "q")
		assert.Contains(t, text, "queuetest: over a budget of 0.50 EUR a month for q:\noperations a month\n  write                 10\n")
		assert.Contains(t, budget(2, "q", "other"), "for other, q:")
		assert.Contains(t, budget(2.9), "cost                  ")
		assert.Equal(t, `queuetest: there is no queue "Q" to bill`, budget(5, "q", "Q"))
		require.NoError(t, b.Shutdown(t.Context()))
		assert.Contains(t, budget(5), "broker closed")
	})
}
