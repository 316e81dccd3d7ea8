package inproq

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproq/inproq/store"
)

// recordTime draws a time as now returns it.
func recordTime(t *rapid.T, label string) time.Time {
	return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, label), rapid.Int64Range(0, 999_999_999).Draw(t, label)).UTC()
}

func recordConsumer(t *rapid.T, label string) (s consumerSettings) {
	s.MaxBatchSize = rapid.IntRange(1, 100).Draw(t, label)
	s.MaxBatchTimeout = time.Duration(rapid.Int64Min(0).Draw(t, label))
	s.MaxRetries = rapid.IntRange(0, 100).Draw(t, label)
	s.RetryDelay = time.Duration(rapid.Int64Min(0).Draw(t, label))
	s.MaxConcurrency = rapid.IntRange(0, 250).Draw(t, label)
	s.VisibilityTimeout = time.Duration(rapid.Int64Min(0).Draw(t, label))
	s.DeadLetterQueue = rapid.StringMatching("[a-z]{0,3}").Draw(t, label)
	return s
}

func recordConfig(t *rapid.T) QueueConfig {
	return QueueConfig{
		DeliveryDelay:          time.Duration(rapid.Int64Min(0).Draw(t, "delay")),
		MessageRetentionPeriod: time.Duration(rapid.Int64Min(1).Draw(t, "retention")),
		ContentType:            rapid.SampledFrom([]ContentType{"", JSON, Text, Bytes, Gob}).Draw(t, "type"),
	}
}

// drawRecord draws a record with everything that a store keeps.
func drawRecord(t *rapid.T) *record {
	cfg := recordConfig(t)
	r := newRecord("q", cfg)
	r.Created, r.Paused, r.Revision = recordTime(t, "created"), rapid.Bool().Draw(t, "paused"), rapid.Uint64().Draw(t, "revision")
	if rapid.Bool().Draw(t, "is modified") {
		r.Modified = recordTime(t, "modified")
	}
	if rapid.Bool().Draw(t, "is declared") {
		declared := recordConfig(t)
		r.Declared = &declaredQueue{declared.DeliveryDelay, declared.MessageRetentionPeriod, declared.ContentType}
	}
	if rapid.Bool().Draw(t, "is consumed") {
		r.Consumer = &consumerRecord{
			ID: newID(), Kind: rapid.SampledFrom([]ConsumerKind{Worker, HTTPPull}).Draw(t, "kind"), Name: rapid.String().Draw(t, "name"),
			Created: recordTime(t, "attached"), Settings: recordConsumer(t, "settings"),
		}
		if rapid.Bool().Draw(t, "is declared by code") {
			r.Consumer.Declared = new(recordConsumer(t, "declared"))
		}
	}
	if rapid.Bool().Draw(t, "is pulled") {
		r.LeaseKey = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
	}
	if a := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "annotations"); len(a) > 0 {
		r.Annotations = a
	}
	return r
}

func TestRecordSurvivesTheStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		packed, err := r.pack()
		require.NoError(t, err)
		assert.Equal(t, r.Name, packed.Name)
		back, err := parseRecord(packed)
		require.NoError(t, err)
		assert.Equal(t, r.settings, back.settings)
		assert.Equal(t, r.Retention, back.Retention)
		assert.Equal(t, r.Paused, back.Paused)
		assert.Equal(t, r.Revision, back.Revision)
		assert.True(t, r.equal(back))
		assert.Equal(t, r.info(), back.info())
	})
}

func TestRecordsAreEqualWhenTheySayTheSame(t *testing.T) {
	r := newRecord("q", QueueConfig{MessageRetentionPeriod: time.Hour})
	for name, change := range map[string]func(*record){
		"paused":       func(r *record) { r.Paused = true },
		"retention":    func(r *record) { r.Retention++ },
		"delay":        func(r *record) { r.DeliveryDelay++ },
		"content type": func(r *record) { r.ContentType = Text },
		"declared":     func(r *record) { r.Declared = &declaredQueue{} },
		"consumer":     func(r *record) { r.Consumer = &consumerRecord{} },
		"annotations":  func(r *record) { r.Annotations = map[string]string{"": ""} },
	} {
		other := *r
		assert.True(t, r.equal(&other), name)
		change(&other)
		assert.False(t, r.equal(&other), name)
	}
	other := *r
	other.Revision++
	assert.True(t, r.equal(&other), "a revision is not something it says")
}

// News may overtake each other.
func TestRecordThatIsOlderChangesNothing(t *testing.T) {
	b, err := NewBroker(Config{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Shutdown(t.Context())) }()
	ep := b.endpoint("q")
	older, newer := newRecord("q", QueueConfig{DeliveryDelay: 1}), newRecord("q", QueueConfig{DeliveryDelay: 2})
	older.Revision, newer.Revision = 1, 2
	for _, r := range []*record{older, newer, older} {
		ep.follow(r)
	}
	assert.Equal(t, time.Duration(2), ep.sendPolicy(t.Context()).delay)
	newer.Deleted = true
	ep.follow(newer)
	assert.Equal(t, time.Duration(2), ep.sendPolicy(t.Context()).delay, "a tombstone has a revision of its own")
}

// What is at its default takes no room.
func TestRecordLeavesDefaultsOut(t *testing.T) {
	packed, err := newRecord("q", QueueConfig{MessageRetentionPeriod: time.Hour}).pack()
	require.NoError(t, err)
	for _, key := range []string{"modified", "delivery_delay", "content_type", "declared", "consumer", "annotations", "null"} {
		assert.NotContains(t, string(packed.Settings), key)
	}
}

func TestRecordOfATombstoneNeedsNoSettings(t *testing.T) {
	r, err := parseRecord(store.Queue{Name: "q", Deleted: true})
	require.NoError(t, err)
	assert.True(t, r.Deleted)
	_, err = parseRecord(store.Queue{Name: "orders", Settings: []byte("{")})
	require.ErrorContains(t, err, `inproq: queue "orders": settings in the store are malformed`)
}

// A consumer's declaration, like a queue's, changes what code says differently
// than before, field by field.
func TestRecordDeclareChangesWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inForce, last, now := recordConsumer(t, "in force"), recordConsumer(t, "last"), recordConsumer(t, "now")
		if rapid.Bool().Draw(t, "same") {
			now.MaxBatchSize, now.MaxRetries, now.DeadLetterQueue = last.MaxBatchSize, last.MaxRetries, last.DeadLetterQueue
		}
		got := inForce
		got.declare(&last, &now)
		for _, f := range []struct {
			name                     string
			inForce, last, now, have any
		}{
			{"BatchSize", inForce.MaxBatchSize, last.MaxBatchSize, now.MaxBatchSize, got.MaxBatchSize},
			{"BatchTimeout", inForce.MaxBatchTimeout, last.MaxBatchTimeout, now.MaxBatchTimeout, got.MaxBatchTimeout},
			{"MaxRetries", inForce.MaxRetries, last.MaxRetries, now.MaxRetries, got.MaxRetries},
			{"RetryDelay", inForce.RetryDelay, last.RetryDelay, now.RetryDelay, got.RetryDelay},
			{"MaxConcurrency", inForce.MaxConcurrency, last.MaxConcurrency, now.MaxConcurrency, got.MaxConcurrency},
			{"DeadLetterQueue", inForce.DeadLetterQueue, last.DeadLetterQueue, now.DeadLetterQueue, got.DeadLetterQueue},
		} {
			want := f.inForce
			if f.last != f.now {
				want = f.now
			}
			assert.Equal(t, want, f.have, f.name)
		}
	})
}

// Whatever a store returns is taken or refused; what is taken can be written again,
// and says the same then.
func FuzzParseRecord(f *testing.F) {
	packed, err := newRecord("q", QueueConfig{DeliveryDelay: time.Second, ContentType: Text}).pack()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		string(packed.Settings), "", "{", "{}", "null", "[]", `{"declared":{},"consumer":{"settings":{"batch_size":-1}},"annotations":{"a":"b"}}`,
		`{"created":"2026-01-01T00:00:00+23:59","modified":"x"}`, `{"delivery_delay":1e30}`, strings.Repeat(`{"consumer":`, 100),
	} {
		f.Add([]byte(s), false)
	}
	f.Add([]byte(nil), true)
	f.Fuzz(func(t *testing.T, settings []byte, deleted bool) {
		r, err := parseRecord(store.Queue{Name: "q", Settings: settings, Deleted: deleted})
		if err != nil {
			return
		}
		r.info()
		again, err := r.pack()
		if err != nil {
			t.Fatalf("%q does not pack: %v", settings, err)
		}
		back, err := parseRecord(again)
		if err != nil || !r.equal(back) {
			t.Fatalf("%q came back as %q (%v)", settings, again.Settings, err)
		}
	})
}
