package inproq_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// A lintFinding is a warning without its text.
type lintFinding struct {
	Rule  inproq.WarningRule
	Queue string
}

// lintRules returns what Lint finds, in its order.
func lintRules(t *testing.T, b *inproq.Broker) []lintFinding {
	t.Helper()
	found, err := b.Lint(t.Context())
	require.NoError(t, err)
	rules := []lintFinding{}
	for _, w := range found {
		rules = append(rules, lintFinding{w.Rule, w.Queue})
	}
	return rules
}

// lintText returns the text of the only finding.
func lintText(t *testing.T, b *inproq.Broker) string {
	t.Helper()
	found, err := b.Lint(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0].Text
}

// lintQueue makes a queue that is pulled from, of which no rule has anything to say but those about
// dead-letter queues.
func lintQueue(t *testing.T, b *inproq.Broker, name, deadLetters string) {
	t.Helper()
	accountDeclare(t, b, name, inproq.QueueConfig{})
	_, err := b.AttachConsumer(t.Context(), name, inproq.ConsumerSpec{
		Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{DeadLetterQueue: deadLetters},
	})
	require.NoError(t, err)
}

func TestLintOfNothing(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	assert.Empty(t, lintRules(t, b))
	accountDeclare(t, b, "q", inproq.QueueConfig{})
	lintQueue(t, b, "pulled", "")
	assert.Empty(t, lintRules(t, b))
}

func TestLintDeadLettersUnread(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	lintQueue(t, b, "q", "dead")
	assert.Equal(t, []lintFinding{{inproq.DeadLettersUnread, "q"}}, lintRules(t, b))
	assert.Contains(t, lintText(t, b), `DeadLetterQueue is "dead", which has no consumer`)
	lintQueue(t, b, "dead", "")
	assert.Empty(t, lintRules(t, b), "it is read")
	require.NoError(t, b.RemoveConsumer(t.Context(), "dead"))
	assert.Equal(t, []lintFinding{{inproq.DeadLettersUnread, "q"}}, lintRules(t, b))
	require.NoError(t, b.DeleteQueue(t.Context(), "dead"))
	assert.Equal(t, []lintFinding{{inproq.DeadLettersUnread, "q"}}, lintRules(t, b), "not even there")
	require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
	assert.Empty(t, lintRules(t, b), "nothing dies")
}

// A cycle is told once, at the first of its queues, and not at a queue that leads into it.
func TestLintDeadLetterCycle(t *testing.T) {
	for name, c := range map[string]struct {
		edges [][2]string
		want  []lintFinding
		text  string
	}{
		"of two": {[][2]string{{"b", "a"}, {"a", "b"}}, []lintFinding{{inproq.DeadLetterCycle, "a"}}, `["a" "b" "a"]`},
		"of three": {
			[][2]string{{"b", "c"}, {"c", "a"}, {"a", "b"}}, []lintFinding{{inproq.DeadLetterCycle, "a"}}, `["a" "b" "c" "a"]`,
		},
		"of three, the other way": {
			[][2]string{{"a", "c"}, {"c", "b"}, {"b", "a"}}, []lintFinding{{inproq.DeadLetterCycle, "a"}}, `["a" "c" "b" "a"]`,
		},
		"with ways into it": {
			[][2]string{{"a", "d"}, {"z", "a"}, {"c", "d"}, {"d", "c"}}, []lintFinding{{inproq.DeadLetterCycle, "c"}}, `["c" "d" "c"]`,
		},
		"two of them": {
			[][2]string{{"a", "b"}, {"b", "a"}, {"c", "d"}, {"d", "c"}},
			[]lintFinding{{inproq.DeadLetterCycle, "a"}, {inproq.DeadLetterCycle, "c"}}, "",
		},
		"a chain":      {[][2]string{{"a", "b"}, {"b", "c"}, {"c", ""}}, []lintFinding{}, ""},
		"a long chain": {[][2]string{{"a", "b"}, {"b", "c"}, {"c", "d"}}, []lintFinding{{inproq.DeadLettersUnread, "c"}}, `"d"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := accountBroker(t, inproq.Config{})
			for _, e := range c.edges {
				lintQueue(t, b, e[0], e[1])
			}
			assert.Equal(t, c.want, lintRules(t, b))
			if c.text != "" {
				assert.Contains(t, lintText(t, b), c.text)
			}
		})
	}
}

// A queue cannot be its own dead-letter queue in the first place.
func TestLintNeedNotLookForSelfCycles(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	q := accountDeclare(t, b, "q", inproq.QueueConfig{})
	_, err := q.Consume(consumeFail, inproq.ConsumerConfig{DeadLetterQueue: "q"})
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	lintQueue(t, b, "r", "")
	itself := "r"
	_, err = b.UpdateConsumer(t.Context(), "r", inproq.ConsumerUpdate{DeadLetterQueue: &itself})
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	assert.Empty(t, lintRules(t, b))
}

func TestLintRetriesAtOnce(t *testing.T) {
	again := []lintFinding{{inproq.RetriesAtOnce, "q"}}
	for name, c := range map[string]struct {
		cfg    inproq.ConsumerConfig
		want   []lintFinding
		logged int
	}{
		"by default":          {inproq.ConsumerConfig{}, again, 0},
		"fewer than that":     {inproq.ConsumerConfig{MaxRetries: 1}, again, 0},
		"as many as that":     {inproq.ConsumerConfig{MaxRetries: 3}, again, 0},
		"more than that":      {inproq.ConsumerConfig{MaxRetries: 4}, again, 1},
		"many":                {inproq.ConsumerConfig{MaxRetries: 100}, again, 1},
		"none":                {inproq.ConsumerConfig{MaxRetries: inproq.NoRetries}, nil, 0},
		"with a delay":        {inproq.ConsumerConfig{MaxRetries: 100, RetryDelay: time.Second}, nil, 0},
		"meant":               {inproq.ConsumerConfig{MaxRetries: 100, RetryDelay: inproq.NoDelay}, nil, 0},
		"with a backoff":      {inproq.ConsumerConfig{MaxRetries: 100, Backoff: inproq.ExponentialBackoff(time.Second, time.Hour)}, nil, 0},
		"of a named consumer": {inproq.ConsumerConfig{MaxRetries: 50, Name: "script"}, again, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log accountLog
				b := accountBroker(t, inproq.Config{Logger: log.logger()})
				accountConsume(t, accountDeclare(t, b, "q", inproq.QueueConfig{}), consumeFail, c.cfg)
				assert.Empty(t, lintRules(t, b), "no record, no consumer")
				events := redriveWatch(t, b, inproq.EventWarning)
				run := accountStart(b)
				synctest.Wait()
				assert.Equal(t, append([]lintFinding{}, c.want...), lintRules(t, b))
				assert.Equal(t, c.logged, strings.Count(log.String(), "retries_at_once"))
				assert.Len(t, events.list(), c.logged)
				require.NoError(t, run.stop())
			})
		})
	}
}

// Of a consumer whose code is elsewhere only the record is known.
func TestLintRetriesAtOnceElsewhere(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	accountDeclare(t, b, "q", inproq.QueueConfig{})
	_, err := b.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{Kind: inproq.Worker, Settings: inproq.ConsumerSettings{MaxRetries: 7}})
	require.NoError(t, err)
	assert.Equal(t, []lintFinding{{inproq.RetriesAtOnce, "q"}}, lintRules(t, b))
	assert.Contains(t, lintText(t, b), "MaxRetries is 7 and RetryDelay 0")
	delay := time.Nanosecond
	_, err = b.UpdateConsumer(t.Context(), "q", inproq.ConsumerUpdate{RetryDelay: &delay})
	require.NoError(t, err)
	assert.Empty(t, lintRules(t, b))
}

// An operator's RetryDelay wins over a Backoff, so that one of zero makes retries immediate.
func TestLintRetriesAtOnceAfterAnOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		accountConsume(t, accountDeclare(t, b, "q", inproq.QueueConfig{}), consumeFail, inproq.ConsumerConfig{
			RetryDelay: time.Second, Backoff: inproq.ExponentialBackoff(time.Second, time.Hour),
		})
		run := accountStart(b)
		synctest.Wait()
		assert.Empty(t, lintRules(t, b))
		var none time.Duration
		_, err := b.UpdateConsumer(t.Context(), "q", inproq.ConsumerUpdate{RetryDelay: &none})
		require.NoError(t, err)
		assert.Equal(t, []lintFinding{{inproq.RetriesAtOnce, "q"}}, lintRules(t, b))
		require.NoError(t, run.stop())
	})
}

// Handlers that take longer than they may.
func TestLintLeaseTooShortForHandlers(t *testing.T) {
	for took, want := range map[time.Duration][]lintFinding{
		9 * time.Second:  {},
		10 * time.Second: {{inproq.LeaseTooShort, "q"}},
		25 * time.Second: {{inproq.LeaseTooShort, "q"}},
	} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				accountConsume(t, q, func(context.Context, *inproq.MessageBatch[string]) error {
					time.Sleep(took)
					return nil
				}, inproq.ConsumerConfig{MaxDuration: 10 * time.Second, MaxRetries: inproq.NoRetries, MaxBatchTimeout: inproq.NoWait})
				run := accountStart(b)
				synctest.Wait()
				assert.Empty(t, lintRules(t, b), "nothing is known yet")
				for range 10 {
					accountSend(t, q, "x")
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				assert.Equal(t, want, lintRules(t, b))
				if len(want) > 0 {
					assert.Equal(t, "MaxDuration is 10s, and an invocation took "+took.String(), lintText(t, b))
				}
				require.NoError(t, run.stop())
			})
		})
	}
}

// Pulled messages that are settled later than their visibility lasts.
func TestLintLeaseTooShortForPulls(t *testing.T) {
	for name, c := range map[string]struct {
		took   time.Duration
		extend bool
		want   []lintFinding
	}{
		"in time":            {29 * time.Second, false, []lintFinding{}},
		"just in time":       {30 * time.Second, false, []lintFinding{}},
		"late":               {31 * time.Second, false, []lintFinding{{inproq.LeaseTooShort, "q"}}},
		"with an extension":  {31 * time.Second, true, []lintFinding{}},
		"very late":          {time.Hour, false, []lintFinding{{inproq.LeaseTooShort, "q"}}},
		"late, but extended": {time.Hour, true, []lintFinding{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				p, err := q.PullConsumer(inproq.PullConfig{VisibilityTimeout: 30 * time.Second})
				require.NoError(t, err)
				accountSend(t, q, "x")
				batch, err := p.Pull(t.Context())
				require.NoError(t, err)
				batch.AckAll()
				if c.extend {
					require.NoError(t, batch.Extend(t.Context(), 2*time.Hour))
				}
				time.Sleep(c.took)
				assert.Empty(t, lintRules(t, b), "not settled yet")
				_, err = batch.Settle(t.Context())
				require.NoError(t, err)
				assert.Equal(t, c.want, lintRules(t, b))
				if len(c.want) > 0 {
					assert.Equal(t, "VisibilityTimeout is 30s, and messages were settled up to "+c.took.String()+" after their pull", lintText(t, b))
				}
				longer := 2 * time.Hour
				_, err = b.UpdateConsumer(t.Context(), "q", inproq.ConsumerUpdate{VisibilityTimeout: &longer})
				require.NoError(t, err)
				assert.Empty(t, lintRules(t, b), "it is mended")
			})
		})
	}
}

// Findings come in the order of their queues.
func TestLintOrder(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	want := []lintFinding{}
	for _, name := range []string{"b", "a", "d", "c", "e"} {
		accountDeclare(t, b, name, inproq.QueueConfig{})
		_, err := b.AttachConsumer(t.Context(), name, inproq.ConsumerSpec{
			Kind: inproq.Worker, Settings: inproq.ConsumerSettings{DeadLetterQueue: "dead-" + name},
		})
		require.NoError(t, err)
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		want = append(want, lintFinding{inproq.DeadLettersUnread, name}, lintFinding{inproq.RetriesAtOnce, name})
	}
	assert.Equal(t, want, lintRules(t, b))
}

// Run logs each finding once, and tells of it.
func TestRunTellsOfFindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log consumeLog
		b := accountBroker(t, inproq.Config{Logger: slog.New(consumeLogHandler{log: &log})})
		lintQueue(t, b, "a", "dead-a")
		lintQueue(t, b, "b", "c")
		lintQueue(t, b, "c", "b")
		accountConsume(t, accountDeclare(t, b, "d", inproq.QueueConfig{}), consumeFail, inproq.ConsumerConfig{MaxRetries: 10})
		events := redriveWatch(t, b)
		assert.Len(t, lintRules(t, b), 2)
		assert.Empty(t, log.find("hardly meant"), "Lint itself logs nothing")
		time.Sleep(time.Minute)
		began := time.Now()
		run := accountStart(b)
		time.Sleep(time.Hour)
		found, err := b.Lint(t.Context())
		require.NoError(t, err)
		require.Len(t, found, 3)
		lines := log.find("configuration is hardly meant")
		require.Len(t, lines, 3)
		var told []inproq.Event
		for _, e := range events.list() {
			if e.Kind == inproq.EventWarning {
				told = append(told, e)
			}
		}
		require.Len(t, told, 3)
		for i, w := range found {
			assert.Equal(t, slog.LevelWarn, lines[i].Level)
			assert.Equal(t, "configuration is hardly meant", lines[i].Message)
			assert.Equal(t, map[string]any{"queue": w.Queue, "rule": string(w.Rule), "why": w.Text}, lines[i].Attrs)
			assert.Equal(t, w.Queue, told[i].Queue)
			assert.True(t, told[i].Time.Equal(began))
			assert.EqualError(t, told[i].Err, "inproq: "+w.Text)
		}
		require.NoError(t, run.stop())
	})
}

func TestLintOfAStoreThatFails(t *testing.T) {
	down := errors.New("disk on fire")
	st := &lintStore{Store: accountStore(t)}
	b := accountBroker(t, inproq.Config{Store: st})
	st.fail = down
	_, err := b.Lint(t.Context())
	require.ErrorIs(t, err, down)
	require.ErrorContains(t, err, "list of queues")
}

// lintStore fails to list queues when told.
type lintStore struct {
	store.Store
	fail error
}

func (s *lintStore) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	if s.fail != nil {
		return nil, 0, s.fail
	}
	return s.Store.Queues(ctx, after, wait)
}
