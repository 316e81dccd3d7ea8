package eventsub

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/memory"
)

func TestSubscriptionsRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, nil, "events", "other")
		s := newService(t, b)
		sub, err := s.Create(t.Context(), Spec{Source: site("shop"), Queue: "events", Events: []string{"build.started"}})
		require.NoError(t, err)
		assert.Regexp(t, "^[0-9a-f]{32}$", sub.ID)
		assert.Equal(t, "events workersBuilds.worker", sub.Name)
		assert.True(t, sub.Enabled)
		assert.Equal(t, inproq.Must(b.Queue(t.Context(), "events")).ID, sub.QueueID)

		time.Sleep(time.Second)
		got, err := s.Update(t.Context(), sub.ID, Update{Name: new("n"), Enabled: new(false), Events: []string{"build.failed"}})
		require.NoError(t, err)
		assert.Equal(t, sub.CreatedAt.Add(time.Second), got.ModifiedAt)
		want := sub
		want.Name, want.Enabled, want.Events, want.ModifiedAt = "n", false, []string{"build.failed"}, got.ModifiedAt
		assert.Equal(t, want, got)

		moved, err := s.Update(t.Context(), sub.ID, Update{Queue: new("other"), Enabled: new(true)})
		require.NoError(t, err)
		assert.Equal(t, "other", moved.Queue)
		assert.True(t, moved.ModifiedAt.After(got.ModifiedAt), "whatever the clock says")
		assert.Empty(t, inproq.Must(b.Queue(t.Context(), "events")).Annotations)
		require.NoError(t, s.Publish(t.Context(), Event{Source: site("shop"), Name: "build.failed"}))
		assert.Empty(t, types(t, b, "events"))
		assert.Len(t, types(t, b, "other"), 1)

		list, err := s.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []Subscription{moved}, list)
		gone, err := s.Delete(t.Context(), sub.ID)
		require.NoError(t, err)
		assert.Equal(t, moved, gone)
		for _, err := range []error{
			second(s.Get(t.Context(), sub.ID)), second(s.Update(t.Context(), sub.ID, Update{})), second(s.Delete(t.Context(), sub.ID)),
		} {
			assert.ErrorIs(t, err, ErrNotFound)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Two brokers on one store, as two processes: what one changes holds for the next event
// of the other, and a restart knows it all.
func TestSubscriptionsAreSharedAndSurvive(t *testing.T) {
	engine := memory.New()
	t.Cleanup(func() { _ = engine.Close() })
	b := newBroker(t, engine, "events")
	here, there := newService(t, b), newService(t, newBroker(t, engine))
	sub, err := here.Create(t.Context(), Spec{Source: Source{Type: "r2"}, Queue: "events", Events: []string{"bucket.created"}})
	require.NoError(t, err)
	publish := func(s *Service, want int) {
		t.Helper()
		require.NoError(t, s.Publish(t.Context(), r2("bucket.created")))
		assert.Len(t, types(t, b, "events"), want)
	}
	publish(there, 1)
	require.NoError(t, second(there.Update(t.Context(), sub.ID, Update{Enabled: new(false)})))
	publish(here, 1)
	require.NoError(t, second(here.Update(t.Context(), sub.ID, Update{Enabled: new(true)})))
	publish(there, 2)
	restarted := newService(t, newBroker(t, engine))
	got, err := restarted.Get(t.Context(), sub.ID)
	require.NoError(t, err)
	assert.Equal(t, sub.CreatedAt, got.CreatedAt)
	publish(restarted, 3)
	require.NoError(t, second(there.Delete(t.Context(), sub.ID)))
	publish(here, 3)
	publish(restarted, 3)

	_, err = here.Create(t.Context(), Spec{Source: Source{Type: "r2"}, Queue: "events", Events: []string{"bucket.created"}})
	require.NoError(t, err)
	require.NoError(t, b.DeleteQueue(t.Context(), "events"))
	require.NoError(t, there.Publish(t.Context(), r2("bucket.created")), "the subscription went with its queue")
	list, err := there.List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestCreateRefuses(t *testing.T) {
	s := newService(t, newBroker(t, nil, "events"))
	spec := Spec{Source: Source{Type: "r2"}, Queue: "events", Events: []string{"bucket.created"}}
	_, err := s.Create(t.Context(), spec)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*Spec)
		want   error
	}{
		"taken":    {func(*Spec) {}, ErrExists},
		"queue":    {func(s *Spec) { s.Queue, s.Source.Type, s.Events = "none", "kv", []string{"namespace.created"} }, inproq.ErrQueueNotFound},
		"source":   {func(s *Spec) { s.Source.Type = "" }, ErrUnknownSource},
		"event":    {func(s *Spec) { s.Events = []string{"bucket.created", "x"} }, ErrUnknownEvents},
		"none":     {func(s *Spec) { s.Events = nil }, ErrInvalid},
		"twice":    {func(s *Spec) { s.Events = []string{"bucket.created", "bucket.created"} }, ErrInvalid},
		"argument": {func(s *Spec) { s.Source = Source{Type: "workersBuilds.worker"}; s.Events = []string{"build.started"} }, ErrInvalid},
		"name":     {func(s *Spec) { s.Name = "a\nb" }, ErrInvalid},
		"long":     {func(s *Spec) { s.Name = strings.Repeat("n", 256) }, ErrInvalid},
	} {
		x := spec
		c.change(&x)
		_, err := s.Create(t.Context(), x)
		assert.ErrorIs(t, err, c.want, name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Create(ended, spec)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestQueuesHaveABoundedNumberOfSubscriptions(t *testing.T) {
	s := newService(t, newBroker(t, nil, "events"))
	for i := range maxPerQueue {
		_, err := s.Create(t.Context(), Spec{Source: site(fmt.Sprint(i)), Queue: "events", Events: []string{"build.started"}})
		require.NoError(t, err)
	}
	_, err := s.Create(t.Context(), Spec{Source: site("more"), Queue: "events", Events: []string{"build.started"}})
	assert.ErrorIs(t, err, ErrInvalid)
}

// Of many that are created at once for one source, one at most is left; updates of one
// subscription at once are not lost.
func TestChangesAtTheSameTime(t *testing.T) {
	engine := memory.New()
	t.Cleanup(func() { _ = engine.Close() })
	services := []*Service{newService(t, newBroker(t, engine, "events")), newService(t, newBroker(t, engine))}
	var wg sync.WaitGroup
	for i := range 8 {
		s := services[i%2]
		wg.Go(func() {
			_, _ = s.Create(t.Context(), Spec{Source: Source{Type: "r2"}, Queue: "events", Events: []string{"bucket.created"}})
		})
	}
	wg.Wait()
	list, err := services[0].List(t.Context())
	require.NoError(t, err)
	assert.LessOrEqual(t, len(list), 1)

	sub, err := services[0].Create(t.Context(), Spec{Source: site("x"), Queue: "events", Events: []string{"build.started"}})
	require.NoError(t, err)
	wg.Go(func() { assert.NoError(t, second(services[0].Update(t.Context(), sub.ID, Update{Name: new("n")}))) })
	wg.Go(func() {
		assert.NoError(t, second(services[1].Update(t.Context(), sub.ID, Update{Enabled: new(false)})))
	})
	wg.Wait()
	got, err := services[1].Get(t.Context(), sub.ID)
	require.NoError(t, err)
	assert.Equal(t, "n", got.Name)
	assert.False(t, got.Enabled)
}

// What others write among the annotations does no harm.
func TestMalformedAnnotations(t *testing.T) {
	b := newBroker(t, nil, "events")
	s := newService(t, b)
	bad := map[string]*string{"note": new("x"), "eventsub/": new("{}"), "eventsub/1": new("{"), "eventsub/" + newID(): new(`{"source":{"type":1}}`)}
	_, err := b.UpdateQueue(t.Context(), "events", inproq.QueueUpdate{Annotations: bad})
	require.NoError(t, err)
	list, err := s.List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)
	require.NoError(t, s.Publish(t.Context(), r2("bucket.created")))
}
