package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// A reference has one text, and every text is one reference or none.
func FuzzReference(f *testing.F) {
	f.Add((&reference{kind: refReady, seq: 1, asOf: 2}).String())
	f.Add((&reference{kind: refDelayed, seq: 1 << 40, due: -1, asOf: 1 << 62, id: [8]byte{1, 2, 3}}).String())
	f.Add("")
	f.Add("garbage")
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := parseReference(store.Lease(text))
		if ok && r.String() != text {
			t.Fatalf("%q was read as %+v, which is %q", text, r, r.String())
		}
	})
}

// Nothing but a lease that was handed out, or a reference, has an effect.
func FuzzForgedLease(f *testing.F) {
	s, err := Open(filepath.Join(f.TempDir(), "queues.db"), Options{})
	require.NoError(f, err)
	f.Cleanup(func() { assert.NoError(f, s.Close()) })
	_, err = s.PutQueue(f.Context(), store.Queue{Name: "q"})
	require.NoError(f, err)
	_, err = s.Enqueue(f.Context(), "q", []store.Message{{Body: []byte("leased")}, {Body: []byte("ready")}})
	require.NoError(f, err)
	got, err := s.Lease(f.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
	require.NoError(f, err)
	shown, err := s.Peek(f.Context(), "q", "", 10)
	require.NoError(f, err)
	valid := map[string]bool{string(got[0].Lease): true, string(shown[0].Lease): true}
	f.Add(string(got[0].Lease), byte(0))
	f.Add(string(shown[0].Lease), byte(2))
	f.Add("0123456789abcdef", byte(4))
	f.Add("", byte(9))
	f.Fuzz(func(t *testing.T, text string, verb byte) {
		if r, ok := parseReference(store.Lease(text)); valid[text] || ok && r.seq == 2 && r.id == [8]byte{} {
			return
		}
		lost, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: store.Lease(text), Verb: store.Verb(verb), To: "q"}})
		if err != nil || len(lost) != 1 {
			t.Fatalf("Settle of %q with %v: lost are %v, error %v", text, store.Verb(verb), lost, err)
		}
		if _, err := s.Peek(t.Context(), "q", store.Lease(text), 10); err != nil {
			t.Fatalf("Peek behind %q: %v", text, err)
		}
	})
}
