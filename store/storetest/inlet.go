package storetest

import "github.com/inproq/inproq/store"

// inletChecks are for stores that are Local, beside the whole suite, which then
// runs once more with what can be through inlets and outlets.
var inletChecks = []check{
	{
		name:        "Sent",
		explanation: "Sent is the number of messages that this inlet has accepted",
		run: func(t *trial) {
			t.create("q")
			one, other := t.inlet("q"), t.inlet("q")
			for i, m := range numbered(10) {
				in := one
				if i < 3 {
					in = other
				}
				t.ok("Send", t.through(in, m))
			}
			t.send("q", msg("m"))
			if one.Sent() != 7 || other.Sent() != 3 {
				t.Fatalf("Sent is %d and %d, want 7 and 3", one.Sent(), other.Sent())
			}
			if n := one.SentBytes() + other.SentBytes(); n != sizeOf(numbered(10)) {
				t.Fatalf("SentBytes are %d, want %d", n, sizeOf(numbered(10)))
			}
		},
	},
	{
		name:        "DeletedQueue",
		explanation: "an inlet is good until its queue is deleted, and stays useless when the name is taken anew",
		run: func(t *trial) {
			t.create("q")
			local, in := t.store.(store.Local), t.inlet("q")
			t.ok("Send", t.through(in, msg("m")))
			if in.Gone() {
				t.Fatalf("Gone is true while there is the queue")
			}
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			for range 2 {
				t.fails("Send", t.through(in, msg("m")), store.ErrQueueNotFound)
				t.create("q")
				t.fails("Send to a queue with the old one's name", t.through(in, msg("m")), store.ErrQueueNotFound)
				if !in.Gone() {
					t.Fatalf("Gone is false when the name was taken anew")
				}
				t.nothing("q")
				t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			}
			if in.Sent() != 1 {
				t.Fatalf("Sent is %d, want 1", in.Sent())
			}
			_, err := local.Inlet("q")
			t.fails("Inlet", err, store.ErrQueueNotFound)
		},
	},
	{
		name:        "Clock",
		explanation: "Now is the time on the store's clock, in nanoseconds since 1970",
		run: func(t *trial) {
			t.create("q")
			local := t.store.(store.Local)
			before := local.Now()
			t.send("q", msg("m"))
			after := local.Now()
			if sent := t.one("q").Sent.UnixNano(); sent < before || sent > after {
				t.Fatalf("a message sent between %d and %d has Sent %d", before, after, sent)
			}
		},
	},
}

func (t *trial) inlet(queue string) store.Inlet {
	t.Helper()
	in, err := t.store.(store.Local).Inlet(queue)
	t.ok("Inlet", err)
	return in
}

// through sends a message without a delay and headers.
func (t *trial) through(in store.Inlet, m store.Message) error {
	_, err := in.Send(t.ctx, m.ID, m.Body, m.ContentType, t.store.(store.Local).Now())
	return err
}

// sizeOf adds up the bodies of messages.
func sizeOf(msgs []store.Message) (n int64) {
	for i := range msgs {
		n += int64(len(msgs[i].Body))
	}
	return n
}
