package leasetoken

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawToken(t *rapid.T) Token {
	x := Token{
		Lease:    string(rapid.SliceOf(rapid.Byte()).Draw(t, "lease")),
		Attempts: rapid.IntRange(0, 1<<16).Draw(t, "attempts"),
		Size:     rapid.Uint64().Draw(t, "size"),
	}
	copy(x.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	if x.HeadersKnown = rapid.Bool().Draw(t, "headers known"); x.HeadersKnown {
		x.Headers = rapid.SliceOf(rapid.Byte()).Draw(t, "headers")
	}
	return x
}

func TestTokensRoundTrip(t *testing.T) {
	c := NewCodec(NewKey())
	rapid.Check(t, func(t *rapid.T) {
		x := drawToken(t)
		got, ok := c.Decode(c.Encode(&x))
		require.True(t, ok)
		if len(x.Headers) == 0 {
			x.Headers, got.Headers = nil, nil
		}
		assert.Equal(t, x, got)
	})
}

// Whatever is changed about a token, it is one no more.
func TestForgedTokensAreRefused(t *testing.T) {
	c := NewCodec(NewKey())
	rapid.Check(t, func(t *rapid.T) {
		x := drawToken(t)
		raw, err := base64.RawURLEncoding.DecodeString(c.Encode(&x))
		require.NoError(t, err)
		i := rapid.IntRange(0, len(raw)-1).Draw(t, "byte")
		raw[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		_, ok := c.Decode(base64.RawURLEncoding.EncodeToString(raw))
		assert.False(t, ok)
	})
}

func TestTokensOfAnotherQueueAreRefused(t *testing.T) {
	x := Token{Lease: "lease"}
	_, ok := NewCodec(NewKey()).Decode(NewCodec(NewKey()).Encode(&x))
	assert.False(t, ok)
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	c := NewCodec(NewKey())
	for _, s := range []string{"", "a", "p.AAAA", strings.Repeat("A", 22), strings.Repeat("A", 100), strings.Repeat("A", maxSize+4), "not base64!", c.Encode(&Token{}) + "="} {
		_, ok := c.Decode(s)
		assert.False(t, ok, "%.30q", s)
	}
}

// A key that leaked must not make a decoder panic or take what is malformed.
func TestAuthenticButMalformed(t *testing.T) {
	c := NewCodec(NewKey())
	whole := []byte{version, 1, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2, 'l', 'e', 3, 'h', 'h'}
	sign := func(b []byte) string {
		return base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), b...), c.sum(b)...))
	}
	got, ok := c.Decode(sign(whole))
	require.True(t, ok)
	assert.Equal(t, "le", got.Lease)
	assert.Equal(t, []byte("hh"), got.Headers)
	for n := range whole {
		_, ok := c.Decode(sign(whole[:n]))
		assert.False(t, ok, "%d bytes", n)
	}
	_, ok = c.Decode(sign(append(whole, 0)))
	assert.False(t, ok, "a byte too many")
	whole[0]++
	_, ok = c.Decode(sign(whole))
	assert.False(t, ok, "another version")
}

func FuzzDecode(f *testing.F) {
	key := make([]byte, 32)
	c := NewCodec(key)
	f.Add(c.Encode(&Token{Lease: "lease", Attempts: 3, Size: 1}))
	f.Add(c.Encode(&Token{Lease: "lease", Attempts: 3, Size: 1}) + "\r\n")
	f.Add(c.Encode(&Token{Lease: "lease", Attempts: 3, Size: 1, Headers: []byte{1}, HeadersKnown: true}))
	f.Fuzz(func(t *testing.T, s string) {
		if x, ok := c.Decode(s); ok {
			assert.Equal(t, s, c.Encode(&x), "there is one text for each token")
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{version, 1, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2, 'l', 'e', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, ok := parse(b); ok {
			assert.LessOrEqual(t, len(x.Lease)+len(x.Headers), len(b))
		}
	})
}
