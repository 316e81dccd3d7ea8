package sqlite_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/inproq/inproq/store"
)

// What a message of the crash test carries follows from its ID, so that whoever meets
// it can tell whether it is whole.

// newID mints the ID of a child's n-th message.
func newID(seed, n uint64, r *rand.Rand) (id store.ID) {
	binary.BigEndian.PutUint32(id[:], uint32(seed))
	binary.BigEndian.PutUint32(id[4:], uint32(n))
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	return id
}

// ballast, as a part of n in newID, makes a message so large that some dozens of them
// make the store copy its log into the file.
const ballast = 1 << 31

// bodyOf is empty, small, longer than a page of the file, or ballast.
func bodyOf(id store.ID) []byte {
	n := 0
	switch k := id[8]; {
	case id[4]&0x80 != 0:
		n = 600_000
	case k == 0:
		n = 9000 + 64*int(id[9])
	case k > 8:
		n = int(id[9]) + 1
	}
	return bytes.Repeat(id[:], n/len(id)+1)[:n]
}

func contentTypeOf(id store.ID) string { return []string{"text", "json", "bytes"}[id[10]%3] }

// headersOf is nil for most.
func headersOf(id store.ID) []byte {
	if id[11]%4 != 0 {
		return nil
	}
	return fmt.Appendf(nil, "from the sender of %x", id)
}

// movedHeadersOf are what a Move replaces the headers by: nil keeps them, and empty
// ones take them away.
func movedHeadersOf(id store.ID) []byte {
	switch id[12] % 4 {
	case 0:
		return nil
	case 1:
		return []byte{}
	}
	return fmt.Appendf(nil, "why %x is dead", id)
}

// renewedOf says whether retention counts from the Move.
func renewedOf(id store.ID) bool { return id[13]%2 == 0 }

// messageOf is the message with an ID.
func messageOf(id store.ID) store.Message {
	return store.Message{ID: id, Body: bodyOf(id), ContentType: contentTypeOf(id), Headers: headersOf(id)}
}

// wrong says what is not as it was sent, or "". A message that was moved may have other
// headers.
func wrong(d *store.Delivery, moved bool) string {
	h := headersOf(d.ID)
	if m := movedHeadersOf(d.ID); moved && m != nil {
		h = m
	}
	switch {
	case !bytes.Equal(d.Body, bodyOf(d.ID)):
		return fmt.Sprintf("a body of %d bytes, %.20x, not %d of %.20x", len(d.Body), d.Body, len(bodyOf(d.ID)), bodyOf(d.ID))
	case d.ContentType != contentTypeOf(d.ID):
		return fmt.Sprintf("content type %q, not %q", d.ContentType, contentTypeOf(d.ID))
	case !bytes.Equal(d.Headers, h):
		return fmt.Sprintf("headers %q, not %q", d.Headers, h)
	}
	return ""
}
