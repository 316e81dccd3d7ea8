package eventsub

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestPublishHasTheCommonSchema(t *testing.T) {
	b := newBroker(t, nil, "events")
	s := newService(t, b)
	sub, err := s.Create(t.Context(), Spec{Source: site("shop"), Queue: "events", Events: []string{"build.started"}})
	require.NoError(t, err)
	at := time.Date(2026, 11, 30, 12, 0, 0, 7_900_000, time.FixedZone("", 3600))
	require.NoError(t, s.Publish(t.Context(), Event{
		Source: site("shop"), Name: "build.started", Time: at, Payload: map[string]any{"status": "running"},
	}))
	peeked, err := b.Peek(t.Context(), "events", 10)
	require.NoError(t, err)
	require.Len(t, peeked, 1)
	assert.JSONEq(t, `{
		"type": "cf.workersBuilds.worker.build.started",
		"source": {"type": "workersBuilds.worker", "workerName": "shop"},
		"payload": {"status": "running"},
		"metadata": {
			"accountId": "0123456789abcdef0123456789abcdef", "eventSubscriptionId": "`+sub.ID+`",
			"eventSchemaVersion": 1, "eventTimestamp": "2026-11-30T11:00:00.007Z"
		}
	}`, string(peeked[0].Body))
}

// Each source has what the reference says, and an event of it reaches its subscription.
func TestEveryKnownEventArrives(t *testing.T) {
	for _, typ := range Sources() {
		b := newBroker(t, nil, "events")
		s := newService(t, b)
		source := Source{Type: typ.Name}
		for _, a := range typ.Args {
			if source.Args == nil {
				source.Args = map[string]string{}
			}
			source.Args[a.Name] = "x"
		}
		events := typ.Events
		if events == nil {
			events = []string{"anything.at_all"}
		}
		_, err := s.Create(t.Context(), Spec{Source: source, Queue: "events", Events: events})
		require.NoError(t, err, typ.Name)
		for _, e := range events {
			require.NoError(t, s.Publish(t.Context(), Event{Source: source, Name: e}), "%s %s", typ.Name, e)
		}
		got := types(t, b, "events")
		require.Len(t, got, len(events), typ.Name)
		assert.Equal(t, "cf."+typ.Name+"."+events[0], got[0])
	}
}

func TestOnlySubscribedEventsArrive(t *testing.T) {
	b := newBroker(t, nil, "shop", "all", "repos")
	s := newService(t, b)
	create := func(queue string, source Source, events ...string) {
		_, err := s.Create(t.Context(), Spec{Source: source, Queue: queue, Events: events})
		require.NoError(t, err)
	}
	create("shop", site("shop"), "build.started", "build.failed")
	create("all", site("blog"), "build.started")
	create("repos", Source{Type: "superSlurper"}, "job.object.migrated")
	for _, e := range []Event{
		{Source: site("shop"), Name: "build.started"},
		{Source: site("shop"), Name: "build.succeeded"},
		{Source: site("other"), Name: "build.started"},
		r2("bucket.created"),
		{Source: Source{Type: "superSlurper.job", Args: map[string]string{"job_id": "1"}}, Name: "object.migrated"},
	} {
		require.NoError(t, s.Publish(t.Context(), e))
	}
	assert.Equal(t, []string{"cf.workersBuilds.worker.build.started"}, types(t, b, "shop"))
	assert.Empty(t, types(t, b, "all"))
	migrated := messages(t, b, "repos")
	require.Len(t, migrated, 1)
	assert.Equal(t, map[string]string{"type": "superSlurper.job", "jobId": "1"}, migrated[0].Source)
}

func TestPublishRefuses(t *testing.T) {
	s := newService(t, newBroker(t, nil, "events"))
	_, err := s.Create(t.Context(), Spec{Source: Source{Type: "r2"}, Queue: "events", Events: []string{"bucket.created"}})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		event Event
		want  error
	}{
		"source":   {Event{Source: Source{Type: "r3"}, Name: "bucket.created"}, ErrUnknownSource},
		"event":    {r2("bucket.emptied"), ErrUnknownEvents},
		"missing":  {Event{Source: Source{Type: "workersBuilds.worker"}, Name: "build.started"}, ErrInvalid},
		"too many": {Event{Source: Source{Type: "r2", Args: map[string]string{"bucket": "x"}}, Name: "bucket.created"}, ErrInvalid},
		"long":     {Event{Source: site(strings.Repeat("x", 600)), Name: "build.started"}, ErrInvalid},
		"payload":  {Event{Source: Source{Type: "r2"}, Name: "bucket.created", Payload: 1}, ErrInvalid},
		"channel":  {Event{Source: Source{Type: "r2"}, Name: "bucket.created", Payload: make(chan int)}, ErrInvalid},
		"size": {Event{Source: Source{Type: "r2"}, Name: "bucket.created",
			Payload: map[string]string{"x": strings.Repeat("x", 130_000)}}, inproq.ErrMessageTooLarge},
	} {
		assert.ErrorIs(t, s.Publish(t.Context(), c.event), c.want, name)
	}
}

func TestCustomSources(t *testing.T) {
	b := newBroker(t, nil, "events")
	s, err := New(b, Config{Sources: []SourceType{{
		Name: "orders", Args: []Arg{{Name: "shop_name"}}, Events: []string{"order.placed"},
	}}})
	require.NoError(t, err)
	shop := Source{Type: "orders", Args: map[string]string{"shop_name": "north"}}
	_, err = s.Create(t.Context(), Spec{Source: shop, Queue: "events", Events: []string{"order.placed"}})
	require.NoError(t, err)
	require.NoError(t, s.Publish(t.Context(), Event{Source: shop, Name: "order.placed"}))
	assert.Equal(t, "north", messages(t, b, "events")[0].Source["shopName"])
	assert.Equal(t, strings.Repeat("0", 32), messages(t, b, "events")[0].Metadata.AccountID)
	require.NoError(t, s.Register(SourceType{Name: "any"}))
	require.NoError(t, s.Publish(t.Context(), Event{Source: Source{Type: "any"}, Name: "thing.happened"}))
	assert.ErrorIs(t, s.Publish(t.Context(), Event{Source: Source{Type: "any"}, Name: "no spaces"}), ErrUnknownEvents)

	for _, bad := range []SourceType{
		{Name: "r2"}, {}, {Name: "a..b"}, {Name: "9lives"}, {Name: "x", Events: []string{}}, {Name: "x", Events: []string{"a b"}},
		{Name: "x", Args: []Arg{{Name: "type"}}}, {Name: "x", Args: []Arg{{Name: "a"}, {Name: "a"}}}, {Name: "x", Args: []Arg{{Name: "A"}}},
	} {
		assert.ErrorIs(t, s.Register(bad), ErrInvalid, "%+v", bad)
	}
	_, err = New(b, Config{AccountID: "x"})
	assert.ErrorIs(t, err, ErrInvalid)
}

// What is returned about source types is the caller's to change.
func TestSourceTypesAreCopies(t *testing.T) {
	s := newService(t, newBroker(t, nil))
	for _, typ := range s.SourceTypes() {
		clear(typ.Args)
		clear(typ.Extra)
		clear(typ.Events)
	}
	for _, typ := range s.SourceTypes() {
		assert.NoError(t, typ.check())
	}
}
