package memory

import (
	"encoding/binary"

	"github.com/inproq/inproq/store"
)

// A slot is a message at rest: 40 bytes without a pointer, so that a backlog of
// millions costs the garbage collector nothing. Everything of variable length
// is in its frame.
type slot struct {
	id       store.ID
	born     int64  // from when retention counts, in nanoseconds since the store's epoch; the time sent unless hasSent
	block, n uint32 // of the frame: see ref
	off      uint16
	attempts uint16
	turn     uint16 // of an entry: counts its places in the ring, to tell the valid one
	ctype    uint8  // index into common, unless hasType
	flags    uint8
}

// fresh makes it a message that was just sent, whose frame has no more than the body.
func (s *slot) fresh(id store.ID, born int64, ctype uint8) {
	s.id, s.born, s.attempts, s.turn, s.ctype, s.flags = id, born, 0, 0, ctype, 0
}

func (s *slot) frame() ref     { return ref{s.block, s.n, s.off} }
func (s *slot) setFrame(r ref) { s.block, s.n, s.off = r.block, r.n, r.off }

// The flags of a slot: its state while it is an entry, and what its frame
// carries in front of the body.
const (
	stateMask  uint8 = 0b0000_0011
	free       uint8 = 0 // not in use; in a chunk: waiting in line
	delayed    uint8 = 1 // on the wheel until its delay has passed
	ready      uint8 = 2 // in the ring of returned messages
	leased     uint8 = 3 // out, on a lease
	hasSent    uint8 = 1 << 4
	hasType    uint8 = 1 << 5
	hasHeaders uint8 = 1 << 6
	dead       uint8 = 1 << 7 // in a chunk: settled, removed, or an entry by now
)

func (s *slot) state() uint8      { return s.flags & stateMask }
func (s *slot) setState(st uint8) { s.flags = s.flags&^stateMask | st }

// common are the content types that fit into a slot. Any other is kept in the
// frame.
var common = [...]string{"json", "text", "bytes", "gob", ""}

func commonType(ct string) (uint8, bool) {
	for i := range common {
		if common[i] == ct {
			return uint8(i), true
		}
	}
	return 0, false
}

// A frame is the stored form of what has variable length:
//
//	[sent, 8 bytes] [type length, 4 bytes, type] [header length, 4 bytes, headers] body
//
// The parts in brackets are there when the slot's flags say so, which for an
// ordinary message is none of them.
type frame struct {
	sent    int64
	ctype   string // when hasType
	headers []byte
	body    []byte
	flags   uint8
}

func (f *frame) size() int {
	n := len(f.body)
	if f.flags&hasSent != 0 {
		n += 8
	}
	if f.flags&hasType != 0 {
		n += 4 + len(f.ctype)
	}
	if f.flags&hasHeaders != 0 {
		n += 4 + len(f.headers)
	}
	return n
}

func (f *frame) appendTo(b []byte) []byte {
	if f.flags&hasSent != 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(f.sent))
	}
	if f.flags&hasType != 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.ctype)))
		b = append(b, f.ctype...)
	}
	if f.flags&hasHeaders != 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.headers)))
		b = append(b, f.headers...)
	}
	return append(b, f.body...)
}

// parse takes the frame of a slot with the given flags apart. The results share
// b's memory, except the content type.
func parse(b []byte, flags uint8) (f frame) {
	f.flags = flags & (hasSent | hasType | hasHeaders)
	if flags&hasSent != 0 {
		f.sent = int64(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if flags&hasType != 0 {
		n := binary.LittleEndian.Uint32(b)
		f.ctype = string(b[4 : 4+n])
		b = b[4+n:]
	}
	if flags&hasHeaders != 0 {
		n := binary.LittleEndian.Uint32(b)
		f.headers = b[4 : 4+n : 4+n]
		b = b[4+n:]
	}
	f.body = b
	return f
}

// prefix is how many bytes of the frame precede the body.
func prefix(b []byte, flags uint8) int {
	if flags&(hasSent|hasType|hasHeaders) == 0 {
		return 0
	}
	f := parse(b, flags)
	return len(b) - len(f.body)
}

// newFrame prepares a message whose content type or headers do not fit into a
// slot.
func newFrame(m *store.Message) (f frame) {
	f.headers, f.body = m.Headers, m.Body
	if len(m.Headers) > 0 {
		f.flags |= hasHeaders
	}
	if _, ok := commonType(m.ContentType); !ok {
		f.ctype, f.flags = m.ContentType, f.flags|hasType
	}
	return f
}
