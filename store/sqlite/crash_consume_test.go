package sqlite_test

import (
	"time"

	"github.com/inproq/inproq/store"
)

// consume leases messages once and does with them what consumers do.
func (h *hand) consume(queue string) {
	c := store.Claim{Max: h.some(5, 60), Visibility: long, Wait: time.Duration(h.rand.IntN(20)) * time.Millisecond}
	if h.chance(4) {
		c.Visibility = time.Duration(h.some(15)) * time.Millisecond
	}
	if h.chance(4) {
		c.Bytes = 2000
	}
	if h.chance(4) {
		c.Min, c.Linger = c.Max, time.Duration(h.some(5))*time.Millisecond
	}
	ds := h.lease(queue, c)
	if c.Visibility < long && h.chance(2) {
		return // they come back when the leases have run out
	}
	for len(ds) > 0 {
		n := h.some(len(ds))
		h.decide(queue, ds[:n])
		ds = ds[n:]
	}
}

// decide settles messages with one call, and with another one those that it has extended.
func (h *hand) decide(queue string, ds []store.Delivery) {
	var outcomes []store.Outcome
	var of, extended []store.Delivery
	for _, d := range ds {
		o := store.Outcome{Lease: d.Lease}
		switch k := h.rand.IntN(100); {
		case k < 50:
			o.Verb = store.Ack
		case k < 60:
			o.Verb = store.Retry
		case k < 70:
			o.Verb, o.Delay = store.Retry, h.delay()
		case k < 80:
			o.Verb = store.Release
		case k < 88 && queue != dead:
			o.Verb, o.To, o.Headers, o.Renew = store.Move, dead, movedHeadersOf(d.ID), renewedOf(d.ID)
		case k < 96:
			o.Verb, o.Delay = store.Extend, long
			extended = append(extended, d)
		default:
			continue // abandoned: it comes back with the next process
		}
		outcomes, of = append(outcomes, o), append(of, d)
	}
	h.settleAll(queue, outcomes, of)
	if len(extended) > 0 {
		h.decide(queue, extended)
	}
}

func (h *hand) settle(queue string, o store.Outcome, d store.Delivery) {
	h.settleAll(queue, []store.Outcome{o}, []store.Delivery{d})
}

func (h *hand) settleAll(queue string, outcomes []store.Outcome, ds []store.Delivery) {
	if len(outcomes) == 0 {
		return
	}
	notes := make([]note, len(outcomes))
	for i, o := range outcomes {
		notes[i] = note{ID: string(ds[i].ID[:]), Lease: o.Lease, Verb: o.Verb, Delay: o.Delay}
	}
	done := h.j.begin(entry{What: callSettle, Queue: queue, Notes: notes})
	lost, err := h.s.Settle(background, queue, outcomes)
	h.must(err, "Settle")
	done(entry{Lost: lost})
}

// pickOut removes messages that nobody has leased, as one who looks through a queue does.
func (h *hand) pickOut(queue string) {
	after := store.Lease("")
	for range 3 {
		ds, err := h.s.Peek(background, queue, after, h.some(30))
		h.must(err, "Peek")
		if len(ds) == 0 {
			return
		}
		for i := range ds {
			if is := wrong(&ds[i], queue == dead); is != "" {
				h.j.fail("Peek at %s: message %x has %s", queue, ds[i].ID, is)
			}
		}
		d := ds[h.rand.IntN(len(ds))]
		h.settle(queue, store.Outcome{Lease: d.Lease, Verb: store.Ack}, d)
		after = ds[len(ds)-1].Lease
	}
}
