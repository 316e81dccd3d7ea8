package faulttest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/inproq/inproq/store"
)

// The queues of the tests. Nobody leases from scratch, which is purged.
const (
	first   = "first"
	second  = "second"
	scratch = "scratch"
)

var queues = []string{first, second, scratch}

// forever is longer than any test.
const forever = time.Hour

// newMessages returns messages of which everything but the delay follows from the ID, so
// that whoever finds one can tell whether it is right.
func newMessages(count, most int) []store.Message {
	msgs := make([]store.Message, count)
	for i := range msgs {
		id := uuid.Must(uuid.NewV7())
		binary.BigEndian.PutUint16(id[14:], uint16(most/256)) // it decides the size
		msgs[i] = message(store.ID(id))
	}
	return msgs
}

func message(id store.ID) store.Message {
	chance := rand.New(rand.NewPCG(binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])))
	most := int(binary.BigEndian.Uint16(id[14:])) * 256
	m := store.Message{ID: id, Body: make([]byte, chance.IntN(most+1))}
	at := chance.IntN(256)
	for i := range m.Body {
		m.Body[i] = byte(at + i*i>>3)
	}
	if chance.IntN(2) == 0 {
		m.ContentType = fmt.Sprintf("application/x-%d", chance.IntN(3))
	}
	if chance.IntN(4) == 0 {
		m.Headers = fmt.Appendf(nil, "headers of %x", id)
	}
	return m
}
