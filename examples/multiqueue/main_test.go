package main

import (
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// orders   shipped lamp (1) and rug (2)
	// orders   shipped desk (3)
	// refunds  refunded order 2: 2.50 in attempt 1
	// refunds  refunded order 1: 49.00 in attempt 3
	// audits   wrote ada: login, ada: order 3, alan: login, ada: logout
	//
	// orders   3 messages, 2 batches, 0 retries
	// refunds  2 messages, 4 batches, 2 retries
	// audits   4 messages, 1 batches, 0 retries
}

// The queues share a handler, and each is fed by its own settings.
func TestQueuesAreFedDifferently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, err := inproq.NewBroker(inproq.Config{})
		require.NoError(t, err)
		s := newShop()
		require.NoError(t, s.consume(t.Context(), broker))
		queuetest.Start(t, broker)
		require.NoError(t, send(t.Context(), broker))
		began := time.Now()
		done := func(after time.Duration) map[string]int {
			time.Sleep(after - time.Since(began))
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			counts := make(map[string]int)
			for queue, what := range s.done {
				counts[queue] = len(what)
			}
			return counts
		}
		assert.Equal(t, map[string]int{"orders": 1, "refunds": 2}, done(5*time.Second-1), "the third order waits for a fourth")
		assert.Equal(t, map[string]int{"orders": 2, "refunds": 2}, done(time.Minute-1))
		assert.Equal(t, map[string]int{"orders": 2, "refunds": 2, "audits": 1}, done(time.Minute))
	})
}

// What does not decode is tried again, but not in the journal.
func TestRetriesOfEachQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		require.NoError(t, newShop().consume(t.Context(), broker))
		queuetest.Start(t, broker)
		for queue, deliveries := range map[string]int{"orders": 4, "refunds": 11, "audits": 1} {
			q, err := inproq.Bind[json.RawMessage](t.Context(), broker, queue)
			require.NoError(t, err)
			_, err = q.Send(t.Context(), json.RawMessage(`"nonsense"`))
			require.NoError(t, err)
			time.Sleep(time.Hour)
			synctest.Wait()
			st := broker.Stats(queue)
			assert.EqualValues(t, deliveries, st.Delivered, queue)
			assert.EqualValues(t, 1, st.Dropped, queue)
		}
	})
}

func TestHandlerGoesByTheQueue(t *testing.T) {
	raw := func(texts ...string) []inproq.Message[json.RawMessage] {
		var bodies []json.RawMessage
		for _, text := range texts {
			bodies = append(bodies, json.RawMessage(text))
		}
		return queuetest.Messages(bodies...)
	}
	for _, tc := range []struct {
		queue   string
		bodies  []string
		retried int
		fails   string
	}{
		{"orders", []string{`{"number":1,"item":"lamp"}`}, 0, ""},
		{"orders", []string{`{"number":1,"item":"lamp"}`, `{"number":"two"}`}, 2, "cannot unmarshal"},
		{"refunds", []string{`{"order":1,"cents":1001}`, `{"order":2,"cents":1000}`}, 1, ""},
		{"refunds", []string{`{"order":"one"}`}, 1, "cannot unmarshal"},
		{"audits", []string{`{"who":"ada","what":"login"}`}, 0, ""},
		{"audits", []string{`{"who":7}`}, 1, "cannot unmarshal"},
		{"other", []string{`{}`}, 1, `no work for queue "other"`},
	} {
		s := newShop()
		r := queuetest.Deliver(t.Context(), s.handle, queuetest.NewBatch(tc.queue, raw(tc.bodies...)...))
		assert.Len(t, r.Retried(), tc.retried, "%s %s", tc.queue, tc.bodies)
		if tc.fails == "" {
			assert.NoError(t, r.Err)
			assert.Len(t, s.done[tc.queue], 1)
			continue
		}
		assert.ErrorContains(t, r.Err, tc.fails)
		assert.Empty(t, s.done)
	}
}
