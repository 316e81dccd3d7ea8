package storetest

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/store"
)

// What cases send, and how they compare it with what comes back. Most cases
// tell messages apart by their bodies, so that failures read well.

var minted atomic.Uint32

// newID mints a UUIDv7 as the runtime does: by time, then in order, then random.
func newID() store.ID {
	var id store.ID
	rand.Read(id[:])
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli())<<16|uint64(minted.Add(1)&0xfff))
	id[6] |= 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// msg is a message with this body.
func msg(body string) store.Message {
	return store.Message{ID: newID(), Body: []byte(body), ContentType: "text"}
}

func msgs(bodies ...string) []store.Message {
	all := make([]store.Message, len(bodies))
	for i, body := range bodies {
		all[i] = msg(body)
	}
	return all
}

func delayed(body string, d time.Duration) store.Message {
	m := msg(body)
	m.Delay = d
	return m
}

// numbered are n messages whose bodies sort in their order.
func numbered(n int) []store.Message {
	all := make([]store.Message, n)
	for i := range all {
		all[i] = msg(fmt.Sprintf("%06d", i))
	}
	return all
}

// outcomes are copies of o, one for each delivery.
func outcomes(o store.Outcome, ds ...store.Delivery) []store.Outcome {
	all := make([]store.Outcome, len(ds))
	for i, d := range ds {
		all[i] = o
		all[i].Lease = d.Lease
	}
	return all
}

func bodies(ds []store.Delivery) []string {
	all := make([]string, len(ds))
	for i, d := range ds {
		all[i] = brief(d.Body)
	}
	return all
}

func brief(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%s… (%d bytes)", b[:20], len(b))
	}
	return string(b)
}

func verbs(outcomes []store.Outcome) []string {
	all := make([]string, len(outcomes))
	for i, o := range outcomes {
		all[i] = o.Verb.String()
	}
	return all
}

// same ends the case unless ds have these bodies, in any order.
func (t *trial) same(what string, ds []store.Delivery, want ...string) {
	t.Helper()
	got := bodies(ds)
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

// ordered ends the case unless ds are the numbered messages about in their
// order: of all pairs, at most a quarter may be the wrong way round. In reverse
// order all pairs are, at random half of them.
func (t *trial) ordered(ds []store.Delivery) {
	t.Helper()
	wrong, pairs := 0, 0
	for i := range ds {
		for j := range i {
			pairs++
			if bytes.Compare(ds[j].Body, ds[i].Body) > 0 {
				wrong++
			}
		}
	}
	if wrong > pairs/4 {
		t.Fatalf("%d of %d pairs of messages came in the wrong order: %q", wrong, pairs, bodies(ds))
	}
}

// kept ends the case unless d carries what was sent as m.
func (t *trial) kept(m store.Message, d store.Delivery) {
	t.Helper()
	if diff := diffContent(m, d); diff != "" {
		t.Fatalf("message %q: %s", brief(m.Body), diff)
	}
}

func diffContent(m store.Message, d store.Delivery) string {
	switch {
	case d.ID != m.ID:
		return fmt.Sprintf("ID is %x, want %x", d.ID, m.ID)
	case !bytes.Equal(d.Body, m.Body):
		return fmt.Sprintf("body is %q, want %q", brief(d.Body), brief(m.Body))
	case d.ContentType != m.ContentType:
		return fmt.Sprintf("content type is %q, want %q", d.ContentType, m.ContentType)
	case !bytes.Equal(d.Headers, m.Headers):
		return fmt.Sprintf("headers are %q, want %q", brief(d.Headers), brief(m.Headers))
	case d.Delay != 0:
		return fmt.Sprintf("Delay is %v, want zero in a delivery", d.Delay)
	case cap(d.Body) != len(d.Body) || cap(d.Headers) != len(d.Headers):
		return fmt.Sprintf("body has len %d and cap %d, headers %d and %d, want cap == len",
			len(d.Body), cap(d.Body), len(d.Headers), cap(d.Headers))
	case d.Lease == "":
		return "Lease is empty"
	}
	return ""
}

// diffStats compares what a store can tell with what is true. A zero Oldest in
// want is not compared, unless there are no messages.
func diffStats(got, want store.Stats) string {
	var diffs []string
	for _, n := range []struct {
		name      string
		got, want int64
	}{
		{"Messages", got.Messages, want.Messages},
		{"Bytes", got.Bytes, want.Bytes},
		{"Delayed", got.Delayed, want.Delayed},
		{"Leased", got.Leased, want.Leased},
		{"Expired", got.Expired, want.Expired},
		{"ExpiredBytes", got.ExpiredBytes, want.ExpiredBytes},
	} {
		if n.got != -1 && n.got != n.want {
			diffs = append(diffs, fmt.Sprintf("%s is %d, want %d", n.name, n.got, n.want))
		}
	}
	if !got.Oldest.IsZero() {
		switch {
		case want.Messages == 0:
			diffs = append(diffs, fmt.Sprintf("Oldest is %v, want zero in an empty queue", got.Oldest))
		case !want.Oldest.IsZero() && !got.Oldest.Equal(want.Oldest):
			diffs = append(diffs, fmt.Sprintf("Oldest is %v, want %v", got.Oldest, want.Oldest))
		}
	}
	return strings.Join(diffs, "; ")
}
