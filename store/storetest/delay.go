package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

var delayChecks = []check{
	{
		name:        "NeverEarly",
		explanation: "a delay keeps the message invisible for that long after its acceptance: never less, and longer by TimerGrain at most",
		run: func(t *trial) {
			t.create("q")
			for _, delay := range t.delays() {
				start := time.Now()
				t.send("q", delayed("m", delay))
				t.ack("q", t.due("q", "m", start, delay))
			}
		},
	},
	{
		name:        "None",
		explanation: "a delay of zero and less means none",
		run: func(t *trial) {
			t.create("q")
			t.send("q", delayed("zero", 0), delayed("negative", -t.unit), delayed("very", -1<<63))
			t.expect("q", "zero", "negative", "very")
		},
	},
	{
		name:        "Hides",
		explanation: "a delayed message is invisible, and does not hold back those that are ready",
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", delayed("later", 4*t.unit), msg("a"), delayed("last", 5*t.unit), msg("b"))
			t.expect("q", "a", "b")
			t.due("q", "later", start, 4*t.unit)
			t.due("q", "last", start, 5*t.unit)
		},
	},
	{
		name:        "ByTime",
		explanation: "each message keeps its own delay, whatever the order of the sends",
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", delayed("third", 6*t.unit))
			t.send("q", delayed("first", 2*t.unit))
			t.send("q", delayed("second", 4*t.unit), delayed("fourth", 8*t.unit))
			for i, body := range []string{"first", "second", "third", "fourth"} {
				t.due("q", body, start, time.Duration(2*i+2)*t.unit)
			}
		},
	},
	{
		name:        "Together",
		explanation: "messages whose delays end at one time are all leasable then",
		run: func(t *trial) {
			t.create("q")
			sent := numbered(t.batch(50))
			for i := range sent {
				sent[i].Delay = t.unit
			}
			t.send("q", sent...)
			t.pass(t.unit)
			t.take("q", len(sent))
			t.nothing("q")
		},
	},
	{
		name:        "Many",
		explanation: "each of many delays ends at its own time: never early, and late by TimerGrain at most",
		needs:       needsVirtualTime,
		run: func(t *trial) {
			t.create("q")
			src := Seeded(1)
			start := time.Now()
			delays := map[string]time.Duration{}
			for i := range 200 {
				body := fmt.Sprint(i)
				// From a millisecond to twelve hours, as many short ones as long.
				delays[body] = time.Duration(src.Intn("delay", 1<<(i%16))+1) * 659 * time.Microsecond << (i % 11)
				t.send("q", delayed(body, delays[body]))
			}
			for range delays {
				got := t.lease("q", store.Claim{Wait: -1})
				late := time.Since(start) - delays[string(got[0].Body)]
				if late < 0 || late > t.late {
					t.Fatalf("a message with delay %v came %v late, want 0 to %v", delays[string(got[0].Body)], late, t.late)
				}
			}
			t.nothing("q")
		},
	},
	{
		name:        "Punctual",
		explanation: "a delay ends at most TimerGrain later than asked",
		needs: func(h Harness, _ store.Guarantee) string {
			if h.Virtual {
				return "in virtual time every case is about this"
			}
			return ""
		},
		run: func(t *trial) {
			t.create("q")
			var late []time.Duration
			for range 9 {
				start := time.Now()
				t.send("q", delayed("m", t.unit))
				t.due("q", "m", start, t.unit)
				late = append(late, time.Since(start)-t.unit)
			}
			slices.Sort(late)
			// The machine may be busy: let the median speak.
			if median := late[len(late)/2]; median > t.promised.TimerGrain+100*time.Millisecond {
				t.Fatalf("of %v late the median is %v, TimerGrain is %v", late, median, t.promised.TimerGrain)
			}
		},
	},
	{
		name:        "WhilePaused",
		explanation: "a pause stops deliveries only: delays go on",
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", delayed("during", t.unit), delayed("after", 8*t.unit))
			t.pause("q")
			t.pass(2 * t.unit)
			t.resume("q")
			t.expect("q", "during")
			t.due("q", "after", start, 8*t.unit)
		},
	},
	{
		name:        "Retry",
		explanation: "Retry makes a message visible again after its delay: never earlier, and later by TimerGrain at most",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.one("q")
			for _, delay := range t.delays() {
				start := time.Now()
				t.retry("q", delay, d)
				d = t.due("q", "m", start, delay)
			}
		},
	},
	{
		name:        "RetryWithout",
		explanation: "in a Retry a delay of zero and less means none",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			for _, delay := range []time.Duration{0, -1, -t.unit, -1 << 63} {
				t.retry("q", delay, t.one("q"))
			}
			t.expect("q", "m")
		},
	},
	{
		name:        "RetryForgetsDelay",
		explanation: "a delay is over once the message was leased: only the retry's own counts",
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", delayed("m", 2*t.unit))
			d := t.due("q", "m", start, 2*t.unit)
			t.retry("q", 0, d)
			d = t.expect("q", "m")[0]
			start = time.Now()
			t.retry("q", t.unit, d)
			t.due("q", "m", start, t.unit)
		},
	},
}

// delays are those that a store must keep.
func (t *trial) delays() []time.Duration {
	if t.harness.Virtual {
		return []time.Duration{time.Nanosecond, time.Millisecond, 1500 * time.Microsecond, time.Second, 59 * time.Second, time.Hour, 12 * time.Hour, 400 * time.Hour}
	}
	return []time.Duration{time.Millisecond, t.unit, 3 * t.unit}
}
