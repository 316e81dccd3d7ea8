package storetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/inproq/inproq/store"
)

// sizes of bodies at which engines change their ways: inline or not, one page or
// more, and the largest that the runtime's default limits and ours allow.
var sizes = []int{0, 1, 2, 127, 128, 4095, 4096, 4097, 64 << 10, 128_000, 1 << 20}

var contentChecks = []check{
	{
		name:        "Sizes",
		explanation: "a message leaves the store with the body it came with, of any size",
		run: func(t *trial) {
			t.create("q")
			for _, size := range sizes {
				m := msg("")
				m.Body = pattern(size)
				t.send("q", m)
				t.kept(m, t.peek("q")[0])
				d := t.one("q")
				t.kept(m, d)
				t.ack("q", d)
			}
		},
	},
	{
		name:        "SizesTogether",
		explanation: "a message leaves the store with the body it came with, whatever its neighbours are",
		run: func(t *trial) {
			t.create("q")
			sent := map[store.ID]store.Message{}
			var batch []store.Message
			for _, size := range sizes {
				m := msg("")
				m.Body, m.Headers, m.ContentType = pattern(size), pattern(size%300), fmt.Sprint("size/", size)
				sent[m.ID] = m
				batch = append(batch, m)
			}
			t.send("q", batch...)
			got := t.take("q", len(sent))
			for _, d := range got {
				t.kept(sent[d.ID], d)
			}
			t.retry("q", 0, got...)
			for _, d := range t.take("q", len(sent)) {
				t.kept(sent[d.ID], d)
			}
		},
	},
	{
		name:        "Binary",
		explanation: "bodies and headers are bytes, and the store reads neither",
		run: func(t *trial) {
			t.create("q")
			for _, b := range []string{
				"\x00", "\x00\x00\x00", "\xff\xfe", "\xc3\x28", "a\x00b", "'; --", "\r\n\r\n", "\xed\xa0\x80", string(pattern(256)),
			} {
				m := msg(b)
				m.Headers = []byte(b)
				t.send("q", m)
				d := t.one("q")
				t.kept(m, d)
				t.ack("q", d)
			}
		},
	},
	{
		name:        "Empty",
		explanation: "a body may be empty",
		run: func(t *trial) {
			t.create("q")
			for _, body := range [][]byte{nil, {}} {
				m := msg("")
				m.Body = body
				t.send("q", m)
				t.counts("q", store.Stats{Messages: 1})
				d := t.one("q")
				t.kept(m, d)
				t.ack("q", d)
			}
		},
	},
	{
		name:        "Headers",
		explanation: "the store keeps the headers beside the body, over retries too",
		run: func(t *trial) {
			t.create("q")
			for _, headers := range [][]byte{nil, {}, {0}, []byte("k: v"), pattern(8 << 10)} {
				m := msg("body")
				m.Headers = headers
				t.send("q", m)
				t.kept(m, t.peek("q")[0])
				d := t.one("q")
				t.kept(m, d)
				t.retry("q", 0, d)
				d = t.one("q")
				t.kept(m, d)
				t.ack("q", d)
			}
		},
	},
	{
		name:        "ContentTypes",
		explanation: "the content type is kept as it is",
		run: func(t *trial) {
			t.create("q")
			for _, ct := range []string{
				"", "json", "text", "bytes", "gob", "JSON", "application/vnd.example+json; charset=utf-8",
				"größe/測試", " ", "a\x00b", strings.Repeat("long/", 50),
			} {
				m := msg("body")
				m.ContentType = ct
				t.send("q", m)
				t.kept(m, t.peek("q")[0])
				d := t.one("q")
				t.kept(m, d)
				t.ack("q", d)
			}
		},
	},
	{
		name:        "ArgumentsCopied",
		explanation: "a store keeps none of its arguments after it returns: slices, bodies, headers",
		run: func(t *trial) {
			t.create("q")
			ready, later := msg("the body"), delayed("the later body", t.unit)
			ready.Headers, later.Headers = []byte("the headers"), []byte("the later headers")
			want := []store.Message{clone(ready), clone(later)}
			batch := []store.Message{ready, later}
			t.send("q", batch...)
			for _, m := range batch {
				scribble(m.Body)
				scribble(m.Headers)
			}
			clear(batch)
			d := t.one("q")
			t.kept(want[0], d)
			t.retry("q", 0, d)
			t.kept(want[0], t.one("q"))
			t.pass(t.unit)
			t.kept(want[1], t.one("q"))
		},
	},
	{
		name:        "AppendStaysLocal",
		explanation: "bodies and headers have cap == len, so that an append cannot reach a neighbour",
		run: func(t *trial) {
			t.create("q")
			sent := numbered(20)
			for i := range sent {
				sent[i].Headers = []byte(fmt.Sprint("headers ", i))
			}
			t.send("q", sent...)
			want := map[store.ID]store.Message{}
			for _, m := range sent {
				want[m.ID] = m
			}
			appendTo := func(got []store.Delivery) {
				t.Helper()
				for _, d := range got {
					_ = append(d.Body, "overflow"...)
					_ = append(d.Headers, "overflow"...)
				}
				for _, d := range got {
					t.kept(want[d.ID], d)
				}
			}
			appendTo(t.peek("q"))
			appendTo(t.take("q", len(sent)))
		},
	},
	{
		name:        "BodiesStay",
		explanation: "what Lease and Peek return belongs to the caller: bodies are immutable and never recycled",
		run: func(t *trial) {
			t.create("q")
			sent := map[store.ID]store.Message{}
			var held []store.Delivery
			for round := range 20 {
				var batch []store.Message
				for i := range 20 {
					m := msg(strings.Repeat(fmt.Sprintf("%d/%d ", round, i), 1+i*i))
					m.Headers = []byte(fmt.Sprintf("headers %d/%d", round, i))
					batch = append(batch, m)
					sent[m.ID] = clone(m)
				}
				t.send("q", batch...)
				held = append(held, t.peek("q")...)
				got := t.take("q", len(batch))
				t.ack("q", got...)
				held = append(held, got...)
				t.send("q", msgs("then", "some", "more")...)
				t.purge("q")
			}
			for _, d := range held {
				t.kept(sent[d.ID], d)
			}
		},
	},
}

// pattern is a body of n bytes that does not repeat itself soon.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>15)
	}
	return b
}

func clone(m store.Message) store.Message {
	m.Body, m.Headers = bytes.Clone(m.Body), bytes.Clone(m.Headers)
	return m
}

func scribble(b []byte) {
	for i := range b {
		b[i] = '!'
	}
}
