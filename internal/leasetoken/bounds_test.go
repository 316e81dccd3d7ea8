package leasetoken

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The largest headers that a token can carry come back, whatever the bytes are.
func TestTokensWithTheLargestHeaders(t *testing.T) {
	c := NewCodec(NewKey())
	x := Token{Lease: "lease", Attempts: math.MaxInt32, Headers: bytes.Repeat([]byte{0xff}, MaxHeaders), HeadersKnown: true}
	got, ok := c.Decode(c.Encode(&x))
	require.True(t, ok)
	assert.Equal(t, x, got)
}

// A token has one text: bits that base64 does not use make it another, which is none.
func TestTokensHaveOneText(t *testing.T) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	c := NewCodec(NewKey())
	for _, lease := range []string{"", "a", "bb", "ccc"} {
		s := c.Encode(&Token{Lease: lease})
		unused := 6*len(s) - 8*base64.RawURLEncoding.DecodedLen(len(s))
		if unused == 0 {
			continue
		}
		last := bytes.IndexByte([]byte(digits), s[len(s)-1])
		_, ok := c.Decode(s[:len(s)-1] + string(digits[last|1]))
		assert.False(t, ok, "%q, %d bits unused", lease, unused)
	}
}

// More attempts than an int of 32 bits holds are no attempts.
func TestTokensOfTooManyAttemptsAreRefused(t *testing.T) {
	c := NewCodec(NewKey())
	sign := func(attempts uint64) string {
		b := binary.AppendUvarint([]byte{version}, attempts)
		b = append(append(b, 1), make([]byte, 16)...)
		b = append(b, 0, 0)
		return base64.RawURLEncoding.EncodeToString(append(b, c.sum(b)...))
	}
	_, ok := c.Decode(sign(math.MaxInt32))
	require.True(t, ok)
	for _, n := range []uint64{math.MaxInt32 + 1, math.MaxInt64, math.MaxUint64} {
		_, ok = c.Decode(sign(n))
		assert.False(t, ok, "%d", n)
	}
}
