package eventsub

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// Any annotation is either refused or says the same when it is written again.
func FuzzAnnotation(f *testing.F) {
	f.Add("eventsub/0123456789abcdef0123456789abcdef", `{"name":"n","enabled":true,"source":{"type":"r2"},"events":["bucket.created"],"created_at":"2026-11-30T12:00:00Z"}`)
	f.Add("eventsub/", `{}`)
	f.Add("x", ``)
	f.Fuzz(func(t *testing.T, key, value string) {
		q := inproq.QueueInfo{Name: "q", ID: "id"}
		s, ok, err := parseAnnotation(&q, key, value)
		if !ok || err != nil {
			return
		}
		k, v := s.annotation()
		if v == "" {
			return // a year that JSON does not have
		}
		again, ok, err := parseAnnotation(&q, k, v)
		require.NoError(t, err)
		require.True(t, ok)
		_, v2 := again.annotation()
		assert.Equal(t, v, v2)
		x := newIndex()
		x.apply([]inproq.QueueChange{{QueueInfo: inproq.QueueInfo{Name: "q", Revision: 1, Annotations: map[string]string{k: v}}}}, 1)
		assert.NotNil(t, x.current(s.ID))
		x.apply([]inproq.QueueChange{{QueueInfo: inproq.QueueInfo{Name: "q", Revision: 2}, Deleted: true}}, 2)
		assert.Nil(t, x.current(s.ID))
		assert.Empty(t, x.byType)
	})
}

// Any source is either refused or the same after a round trip.
func FuzzSource(f *testing.F) {
	f.Add([]byte(`{"type":"workersBuilds.worker","worker_name":"shop"}`))
	f.Add([]byte(`{"type":"r2","type":"kv"}`))
	f.Add([]byte(`{"type":"r2"}x`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s, again Source
		if s.UnmarshalJSON(raw) != nil {
			return
		}
		out, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(out, &again))
		assert.True(t, s.Equal(again), "%s", out)
	})
}

// Any message decodes without harm, and what is decoded encodes.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"type":"cf.r2.bucket.created","source":{"type":"r2"},"payload":{},"metadata":{"eventTimestamp":"2026-11-30T12:00:00.000Z"}}`))
	f.Add([]byte(`{"metadata":{"eventTimestamp":"10000-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m Message
		if json.Unmarshal(raw, &m) != nil {
			return
		}
		_, err := json.Marshal(m)
		assert.NoError(t, err)
	})
}
