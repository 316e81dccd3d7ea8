// Package leasetoken makes the lease ids that callers hold between a pull and its
// settlement, which may happen in another request and in another process: all that
// the settlement needs to know of a message is in its token.
//
// A token is authenticated with a key of its queue, so it can neither be guessed nor
// be made of something else that a store takes, such as a reference of a peeked
// message. It is base64url text:
//
//	version, 1 byte | attempts, size: varints | message id, 16 bytes |
//	lease: length and bytes | headers: length + 1 and bytes, or 0 | MAC, 16 bytes
package leasetoken

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"math"
	"strings"
)

// A Token is what a lease id says.
type Token struct {
	Lease    string   // of the store
	ID       [16]byte // of the message
	Attempts int
	Size     uint64 // bytes of the message's body
	// Headers are those of the message. They are only needed, and known, when its
	// next retry makes a dead letter of it.
	Headers      []byte
	HeadersKnown bool
}

const (
	version = 1
	macSize = 16
	// maxSize bounds what is decoded: headers have 8,000 bytes unless limits were raised.
	maxSize = 1 << 20
)

// MaxHeaders is how many bytes of headers a token can carry, so that it can be
// decoded again.
const MaxHeaders = maxSize / 2

// NewKey returns a key for a queue.
func NewKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return key
}

// A Codec encodes and decodes the tokens of one queue. It is not safe for concurrent
// use.
type Codec struct {
	mac hash.Hash
	buf []byte
}

// NewCodec returns a codec with the key of a queue.
func NewCodec(key []byte) *Codec { return &Codec{mac: hmac.New(sha256.New, key)} }

// Encode returns the text of a token.
func (c *Codec) Encode(t *Token) string {
	b := append(c.buf[:0], version)
	b = binary.AppendUvarint(b, uint64(t.Attempts))
	b = binary.AppendUvarint(b, t.Size)
	b = append(b, t.ID[:]...)
	b = binary.AppendUvarint(b, uint64(len(t.Lease)))
	b = append(b, t.Lease...)
	if t.HeadersKnown {
		b = binary.AppendUvarint(b, uint64(len(t.Headers))+1)
		b = append(b, t.Headers...)
	} else {
		b = append(b, 0)
	}
	c.buf = append(b, c.sum(b)...)
	return base64.RawURLEncoding.EncodeToString(c.buf)
}

// sum returns the MAC of b.
func (c *Codec) sum(b []byte) []byte {
	var full [sha256.Size]byte
	c.mac.Reset()
	c.mac.Write(b)
	return c.mac.Sum(full[:0])[:macSize]
}

// Decode reads a token. It reports false for what Encode has not made with the
// same key.
func (c *Codec) Decode(s string) (t Token, ok bool) {
	if len(s) > maxSize {
		return Token{}, false
	}
	if strings.ContainsAny(s, "\r\n") {
		return Token{}, false // which the decoder skips; but a token has one text
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < macSize {
		return Token{}, false
	}
	b, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if !hmac.Equal(mac, c.sum(b)) {
		return Token{}, false
	}
	return parse(b)
}

// parse reads what is authenticated. It does not trust it: keys are stored.
func parse(b []byte) (t Token, ok bool) {
	if len(b) == 0 || b[0] != version {
		return Token{}, false
	}
	r := reader{b: b[1:]}
	attempts := r.uvarint()
	t.Size = r.uvarint()
	copy(t.ID[:], r.bytes(16))
	t.Lease = string(r.bytes(r.uvarint()))
	if n := r.uvarint(); n > 0 {
		t.Headers, t.HeadersKnown = r.bytes(n-1), true
	}
	if r.bad || len(r.b) > 0 || attempts > math.MaxInt32 {
		return Token{}, false
	}
	t.Attempts = int(attempts)
	return t, true
}

// A reader takes bytes apart, and remembers when there were too few.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}
