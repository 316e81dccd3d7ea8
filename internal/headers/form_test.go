package headers

import (
	"bytes"
	"encoding/binary"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// someHeaders draws headers as an application may give them, and some that only
// inproq may.
func someHeaders(t *rapid.T) map[string]string {
	key := rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9-]{1,64}`),
		rapid.SampledFrom([]string{"a", "A", "ab", deadQueue, deadError, strings.Repeat("k", 64)}),
	)
	value := rapid.OneOf(
		rapid.StringMatching(`[ -~äß€🧀]*`),
		rapid.SampledFrom([]string{"", strings.Repeat("v", 127), strings.Repeat("v", 128), strings.Repeat("v", 8192)}),
	)
	return rapid.MapOfN(key, value, 0, 20).Draw(t, "headers")
}

func TestWhatIsEncodedDecodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := someHeaders(t)
		encoded := Encode(h)
		decoded, err := Decode(encoded)
		require.NoError(t, err)
		require.True(t, maps.Equal(h, decoded), "%q became %q", h, decoded)
		require.Equal(t, len(h) == 0, len(encoded) == 0)
		require.Equal(t, Size(h), Size(decoded))
		require.LessOrEqual(t, Size(h), len(encoded))
	})
}

// The form does not depend on the order in which a map is read.
func TestEncodingIsDeterministic(t *testing.T) {
	h := map[string]string{"b": "2", "a": "1", "B": "3", "ab": "4", "a-": "", "Z": "5"}
	want := []byte("\x01" + "\x01B\x013" + "\x01Z\x015" + "\x01a\x011" + "\x02a-\x00" + "\x02ab\x014" + "\x01b\x012")
	for range 50 {
		require.Equal(t, want, Encode(maps.Clone(h)))
	}
}

// Lengths of 128 and more take more than one byte.
func TestLongValues(t *testing.T) {
	for _, n := range []int{127, 128, 16383, 16384, 1 << 20} {
		h := map[string]string{"k": strings.Repeat("v", n)}
		decoded, err := Decode(Encode(h))
		require.NoError(t, err)
		require.Equal(t, h, decoded)
	}
}

func TestNoHeadersAreNoBytes(t *testing.T) {
	require.Nil(t, Encode(nil))
	require.Nil(t, Encode(map[string]string{}))
	for _, b := range [][]byte{nil, {}} {
		h, err := Decode(b)
		require.NoError(t, err)
		require.Nil(t, h)
	}
}

func TestSizeCountsKeysAndValues(t *testing.T) {
	require.Zero(t, Size(nil))
	require.Zero(t, Size(map[string]string{"": ""}))
	require.Equal(t, 1, Size(map[string]string{"k": ""}))
	require.Equal(t, 3+5+1+2, Size(map[string]string{"key": "value", "k": "ä"}), "in bytes")
}

// Whatever is cut off or altered is refused, or it is a form of its own.
func TestMalformed(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<63)
	for name, b := range map[string][]byte{
		"unknown version":           {2, 1, 'k', 1, 'v'},
		"version zero":              {0},
		"no value":                  {1, 1, 'k'},
		"a key that is cut":         {1, 2, 'k'},
		"a value that is cut":       {1, 1, 'k', 2, 'v'},
		"an unfinished length":      {1, 0x80},
		"a length beyond 64 bits":   append([]byte{1}, bytes.Repeat([]byte{0xff}, 11)...),
		"a key as long as memory":   append([]byte{1}, huge...),
		"a value as long as memory": append([]byte{1, 1, 'k'}, huge...),
		"a length that would wrap":  append([]byte{1}, binary.AppendUvarint(nil, 1<<64-1)...),
	} {
		h, err := Decode(b)
		require.ErrorIs(t, err, errMalformed, name)
		require.Nil(t, h, name)
	}
	whole := Encode(map[string]string{"key": "value", "other": "one"})
	for n := 1; n < len(whole); n++ {
		if h, err := Decode(whole[:n]); err == nil {
			require.Less(t, len(h), 2, "%d bytes of %d", n, len(whole))
		}
	}
}

// What Decode returns does not change with the bytes it was made of.
func TestDecodeCopies(t *testing.T) {
	b := Encode(map[string]string{"key": "value"})
	h, err := Decode(b)
	require.NoError(t, err)
	clear(b)
	require.Equal(t, map[string]string{"key": "value"}, h)
}

func FuzzDecode(f *testing.F) {
	for _, h := range []map[string]string{
		nil, {"a": ""}, {"key": "value", "other": "one"}, {"k": strings.Repeat("v", 300)},
		DeadLetter{Queue: "q", Attempts: 4, Reason: "r", Error: "e"}.With(nil),
	} {
		f.Add(Encode(h))
	}
	for _, form := range []string{
		"\x01", "\x02", "\x01\x01", "\x01\x00\x00", "\x01\x01a\x011\x01a\x012", "\x01\x01b\x00\x01a\x00", // also a key twice, keys out of order
		"\x01\x81\x00a\x00",                                        // a length longer than it need be
		"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x01\xff", // huge, unfinished
	} {
		f.Add([]byte(form))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		h, err := Decode(b)
		require.Equal(t, before, b, "the argument is only read")
		if err != nil {
			require.ErrorIs(t, err, errMalformed)
			require.Nil(t, h)
			return
		}
		require.LessOrEqual(t, Size(h), len(b))
		again, err := Decode(Encode(h))
		require.NoError(t, err)
		require.True(t, maps.Equal(h, again), "%q became %q", h, again)
		ParseDeadLetter(h)
	})
}
