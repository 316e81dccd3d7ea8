package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/inproq/inproq/store"
)

// A defect is what is wrong with a reference.
type defect string

const (
	none                    defect = ""
	expiresLeased           defect = "retention takes leased messages"
	keepsDelayed            defect = "retention spares delayed messages"
	retainsFromDue          defect = "retention counts from the end of the delay"
	fixesRetention          defect = "a changed retention does not reach the queue"
	sendsSilently           defect = "a send wakes nobody"
	settlesSilently         defect = "a settlement wakes nobody"
	putsSilently            defect = "a changed record wakes nobody"
	deletesSilently         defect = "a deletion wakes nobody"
	closesSilently          defect = "Close wakes nobody"
	wakesOne                defect = "a send wakes one Lease only"
	pausesNoWaiter          defect = "a pause does not stop a Lease that waits"
	lingersFromLast         defect = "each message starts Linger anew"
	lingersFromCall         defect = "Linger counts from the call"
	lingersFromFirst        defect = "Linger forgets the previous Lease"
	lingersOnLeases         defect = "messages are leased while Lease lingers"
	servesLastFirst         defect = "the newest message comes first"
	expiryIsFree            defect = "an attempt that ran out is not counted"
	endsLeasesSharply       defect = "a lease that has run out is lost at once"
	takesReferencesForAll   defect = "a reference is taken with any verb"
	takesReferencesOfLeased defect = "a reference is taken while the message is leased"
	movesIntoNowhere        defect = "a Move to an unknown queue loses the message"
	movesAttempts           defect = "a Move keeps the attempts"
	forgetsCursors          defect = "a reference ends with its message"
	purgesLeased            defect = "Purge takes leased messages"
	purgesReadyOnly         defect = "Purge misses delayed messages"
	buriesMessages          defect = "a queue created again has the old messages"
	sharesSettings          defect = "settings are not copied"
	countsRevisionsByQueue  defect = "each queue counts its own revisions"
)

// A mutant is a store that is wrong in one way, and the case that must notice.
type mutant struct {
	what  string
	store func() store.Store
	fails string
	model bool // Model notices, too
}

func broken(d defect, fails string, model bool) mutant {
	return mutant{string(d), func() store.Store {
		s := newReference(strong)
		s.defect = d
		return s
	}, fails, model}
}

// wrong is a mutant whose calls are altered on their way.
func wrong(what, fails string, model bool, alter func(a *altered)) mutant {
	return mutant{what, func() store.Store {
		a := &altered{Store: newReference(strong)}
		alter(a)
		return a
	}, fails, model}
}

// liar promises what it does not keep.
func liar(what, fails string, model bool, kept store.Guarantee) mutant {
	return wrong(what, fails, model, func(a *altered) { a.Store, a.promised = newReference(kept), strong })
}

var mutants = []mutant{
	broken(expiresLeased, "Retention/LeasedSurvives", true),
	broken(keepsDelayed, "Retention/Delayed", true),
	broken(retainsFromDue, "Retention/DelayIsNotAdded", true),
	broken(fixesRetention, "Retention/Shortened", true),
	broken(sendsSilently, "Wake/BySend", false),
	broken(settlesSilently, "Wake/ByRetry", false),
	broken(putsSilently, "Wake/ByResume", false),
	broken(deletesSilently, "Lifecycle/DeleteEndsLease", false),
	broken(closesSilently, "Lifecycle/CloseEndsCalls", false),
	broken(wakesOne, "Wake/AllByOneBatch", false),
	broken(pausesNoWaiter, "Pause/SatOutByWaiters", true),
	broken(lingersFromLast, "Linger/LateMessages", true),
	broken(lingersFromCall, "Linger/FromBeforeTheCall", true),
	broken(lingersFromFirst, "Linger/FromPreviousLease", true),
	broken(lingersOnLeases, "Linger/NoLeaseHeld", true),
	broken(servesLastFirst, "Enqueue/OneByOne", false),
	broken(expiryIsFree, "Attempts/Expiry", true),
	broken(endsLeasesSharply, "Visibility/AckAfter", true),
	broken(takesReferencesForAll, "Reference/OtherVerbs", false),
	broken(takesReferencesOfLeased, "Reference/Leased", false),
	broken(movesIntoNowhere, "Move/UnknownDestination", true),
	broken(movesAttempts, "Move/ResetsAttempts", true),
	broken(forgetsCursors, "Peek/CursorOfDeleted", false),
	broken(purgesLeased, "Purge/LeasedStay", true),
	broken(purgesReadyOnly, "Purge/Delayed", true),
	broken(buriesMessages, "Lifecycle/CreatedAgain", true),
	broken(sharesSettings, "Records/SettingsCopied", false),
	broken(countsRevisionsByQueue, "Records/RevisionsIncrease", true),

	liar("a stale lease is taken", "Visibility/LostToAnother", true, without(func(g *store.Guarantee) { g.Fenced = false })),
	liar("Peek shows leased messages", "Peek/SkipsLeased", true, without(func(g *store.Guarantee) { g.Fenced = false })),
	liar("a Lease does not linger", "Linger/FromFirst", true, without(func(g *store.Guarantee) { g.Partial = true })),
	liar("an ID is taken twice", "Enqueue/RepeatedID", true, without(func(g *store.Guarantee) { g.Idempotent = false })),

	wrong("a delay ends a nanosecond early", "Delay/NeverEarly", true, func(a *altered) {
		a.message = func(m *store.Message) { m.Delay = max(m.Delay-1, min(m.Delay, 0)) }
	}),
	wrong("a delay ends a millisecond late", "Delay/NeverEarly", true, func(a *altered) {
		a.message = func(m *store.Message) {
			if m.Delay > 0 {
				m.Delay += time.Millisecond
			}
		}
	}),
	wrong("headers are dropped", "Content/Headers", true, func(a *altered) {
		a.message = func(m *store.Message) { m.Headers = nil }
	}),
	wrong("content types are cut", "Content/ContentTypes", false, func(a *altered) {
		a.message = func(m *store.Message) { m.ContentType = m.ContentType[:min(len(m.ContentType), 64)] }
	}),
	wrong("large bodies are cut", "Content/Sizes", false, func(a *altered) {
		a.message = func(m *store.Message) { m.Body = m.Body[:min(len(m.Body), 128_000)] }
	}),
	wrong("the body is not copied", "Content/ArgumentsCopied", true, func(a *altered) {
		sent := map[store.ID][]byte{}
		a.message = func(m *store.Message) { sent[m.ID] = m.Body }
		a.delivery = func(d *store.Delivery) { d.Body = slices.Clip(sent[d.ID]) }
	}),
	wrong("bodies are recycled", "Content/BodiesStay", true, func(a *altered) {
		var arena []byte
		a.delivery = func(d *store.Delivery) {
			arena = append(arena[:0], d.Body...)
			d.Body = slices.Clip(arena)
		}
	}),
	wrong("there is room behind a body", "Content/AppendStaysLocal", true, func(a *altered) {
		a.delivery = func(d *store.Delivery) { d.Body = append(d.Body, 0)[:len(d.Body)] }
	}),
	wrong("Sent changes with a retry", "Attempts/RetryDelay", true, func(a *altered) {
		a.delivery = func(d *store.Delivery) {
			if d.Attempts > 1 {
				d.Sent = time.Now()
			}
		}
	}),
	wrong("attempts start at zero", "Attempts/FromOne", true, func(a *altered) {
		a.delivery = func(d *store.Delivery) { d.Attempts-- }
	}),
	wrong("attempts are a byte", "Attempts/Retry", false, func(a *altered) {
		a.delivery = func(d *store.Delivery) { d.Attempts &= 0xff }
	}),
	wrong("leases are guessable", "Forgery/Unguessable", false, func(a *altered) {
		genuine := map[store.Lease]store.Lease{}
		a.delivery = func(d *store.Delivery) {
			guessable := store.Lease(fmt.Sprintf("%x-%d", d.ID[:6], len(genuine)))
			genuine[guessable] = d.Lease
			d.Lease = guessable
		}
		a.outcome = func(o *store.Outcome) { o.Lease = genuine[o.Lease] }
	}),
	wrong("a lease ends a nanosecond early", "Visibility/RunsOut", true, func(a *altered) {
		a.claim = func(c *store.Claim) { c.Visibility-- }
	}),
	wrong("Bytes does not bound", "Lease/Bytes", true, func(a *altered) {
		a.claim = func(c *store.Claim) { c.Bytes = 0 }
	}),
	wrong("Max is one too many", "Lease/UpToMax", true, func(a *altered) {
		a.claim = func(c *store.Claim) { c.Max++ }
	}),
	wrong("Min and Max are one", "Lease/Bounds", true, func(a *altered) {
		a.claim = func(c *store.Claim) { c.Max = max(c.Min, 1) }
	}),
	wrong("Wait zero waits", "Wait/Zero", true, func(a *altered) {
		a.claim = func(c *store.Claim) { c.Wait = max(c.Wait, time.Second) }
	}),
	wrong("Wait ends early", "Wait/Passes", true, func(a *altered) {
		a.claim = func(c *store.Claim) { c.Wait -= c.Wait / 10 }
	}),
	wrong("an ended ctx is not noticed", "Wait/Cancelled", false, func(a *altered) {
		a.context = func(ctx context.Context) context.Context {
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.WithoutCancel(ctx)
			}
			return ctx
		}
	}),
	wrong("a message is delivered twice", "Lease/Concurrently", true, func(a *altered) {
		a.leased = func(got []store.Delivery) []store.Delivery { return append(got, got...) }
	}),
	wrong("Lease overwrites buf", "Lease/AppendsToBuf", false, func(a *altered) { a.overwrites = true }),
	wrong("a Retry ignores its delay", "Delay/Retry", true, onVerb(store.Retry, func(o *store.Outcome) { o.Delay = 0 })),
	wrong("a retry delay ends a nanosecond early", "Delay/Retry", true, onVerb(store.Retry, func(o *store.Outcome) { o.Delay-- })),
	wrong("a Release counts", "Attempts/Release", true, onVerb(store.Release, func(o *store.Outcome) { o.Verb, o.Delay = store.Retry, 0 })),
	wrong("a Release is an Ack", "Settle/Mixed", true, onVerb(store.Release, func(o *store.Outcome) { o.Verb = store.Ack })),
	wrong("an Extend does not shorten", "Extend/Shorter", true, onVerb(store.Extend, func(o *store.Outcome) { o.Delay += time.Hour })),
	wrong("an Extend by nothing is ignored", "Extend/ByNothing", true, onVerb(store.Extend, func(o *store.Outcome) {
		if o.Delay <= 0 {
			o.Delay = time.Hour
		}
	})),
	wrong("a Move ignores new headers", "Move/ReplacesHeaders", true, onVerb(store.Move, func(o *store.Outcome) { o.Headers = nil })),
	wrong("a Move clears the headers", "Move/Keeps", true, onVerb(store.Move, func(o *store.Outcome) { o.Headers = append([]byte{}, o.Headers...) })),
	wrong("retention counts from the Move", "Retention/Moved", true, onVerb(store.Move, func(o *store.Outcome) { o.Renew = true })),
	wrong("Renew is ignored", "Retention/Renewed", true, onVerb(store.Move, func(o *store.Outcome) { o.Renew = false })),
	wrong("losses are not reported", "Settle/Twice", true, func(a *altered) {
		a.lost = func([]int) []int { return nil }
	}),
	wrong("a pause is forgotten", "Pause/ErrPaused", true, func(a *altered) {
		a.record = func(q *store.Queue) { q.Paused = false }
	}),
	wrong("retention is ignored", "Retention/Ready", true, func(a *altered) {
		a.record = func(q *store.Queue) { q.Retention = 0 }
	}),
	wrong("Stats leaves leased messages out", "Stats/StepByStep", true, func(a *altered) {
		a.stats = func(s *store.Stats) { s.Messages -= s.Leased }
	}),
	wrong("Oldest is wrong", "Stats/Oldest", true, func(a *altered) {
		a.stats = func(s *store.Stats) { s.Oldest = s.Oldest.Add(time.Minute) }
	}),
	wrong("expired messages are not counted", "Retention/Ready", true, func(a *altered) {
		a.stats = func(s *store.Stats) { s.Expired = 0 }
	}),
	wrong("Enqueue returns the Stats from after", "Enqueue/Before", true, func(a *altered) {
		a.enqueue = func(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
			if _, err := a.Store.Enqueue(ctx, queue, msgs); err != nil {
				return store.Stats{}, err
			}
			return a.Store.Stats(ctx, queue)
		}
	}),
	wrong("a cancelled Enqueue stores half", "Enqueue/Cancelled", false, func(a *altered) {
		a.enqueue = func(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
			if ctx.Err() != nil {
				a.Store.Enqueue(context.WithoutCancel(ctx), queue, msgs[:1])
			}
			return a.Store.Enqueue(ctx, queue, msgs)
		}
	}),
	wrong("an Ack in 50 is a Retry", "Concurrent/Mixed", false, func(a *altered) {
		var n atomic.Int64
		a.outcome = func(o *store.Outcome) {
			if o.Verb == store.Ack && n.Add(1)%50 == 0 {
				o.Verb, o.Delay = store.Retry, 0
			}
		}
	}),
	wrong("a message in 500 is dropped", "Concurrent/Mixed", false, func(a *altered) {
		var n atomic.Int64
		a.enqueue = func(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
			kept := slices.DeleteFunc(slices.Clone(msgs), func(store.Message) bool { return n.Add(1)%500 == 0 })
			return a.Store.Enqueue(ctx, queue, kept)
		}
	}),
	wrong("the last writer wins", "Records/CompareAndSet", true, func(a *altered) {
		a.put = func(ctx context.Context, q store.Queue) (store.Queue, error) {
			stored, err := a.Store.PutQueue(ctx, q)
			for q.Revision != 0 && errors.Is(err, store.ErrConflict) {
				all, _, _ := a.Store.Queues(ctx, 0, 0)
				q.Revision = all[slices.IndexFunc(all, func(l store.Queue) bool { return l.Name == q.Name })].Revision
				stored, err = a.Store.PutQueue(ctx, q)
			}
			return stored, err
		}
	}),
	wrong("a Move is an Ack and a send", "Move/SeenWhole", false, func(a *altered) {
		var looks atomic.Int64
		a.stats = func(*store.Stats) { looks.Add(1) }
		sent := map[store.Lease]store.Message{}
		a.leased = func(got []store.Delivery) []store.Delivery {
			for _, d := range got {
				sent[d.Lease] = d.Message
			}
			return got
		}
		a.settle = func(ctx context.Context, queue string, outcomes []store.Outcome) ([]int, error) {
			acks, moved := slices.Clone(outcomes), []store.Message{}
			for i := range acks {
				acks[i].Verb = store.Ack
				moved = append(moved, sent[acks[i].Lease])
			}
			lost, err := a.Store.Settle(ctx, queue, acks)
			// Until somebody has looked at both queues.
			for seen, n := looks.Load(), 0; looks.Load() < seen+6 && n < 100_000; n++ {
				runtime.Gosched()
			}
			for i, m := range moved {
				a.Store.Enqueue(ctx, outcomes[i].To, []store.Message{m})
			}
			return lost, err
		}
	}),
	wrong("Queues does not wait", "Watch/Wait", false, func(a *altered) { a.hasty = true }),
	wrong("there are no tombstones", "Watch/Changes", true, func(a *altered) {
		a.listed = func(all []store.Queue) []store.Queue {
			return slices.DeleteFunc(all, func(q store.Queue) bool { return q.Deleted })
		}
	}),
	wrong("a list has tombstones", "Watch/List", true, func(a *altered) {
		a.listed = func(all []store.Queue) []store.Queue {
			return append([]store.Queue{{Name: "tombstone", Deleted: true, Revision: 1}}, all...)
		}
	}),
}

// without is strong, changed.
func without(change func(*store.Guarantee)) store.Guarantee {
	g := strong
	change(&g)
	return g
}

// onVerb alters the outcomes with one verb.
func onVerb(v store.Verb, alter func(o *store.Outcome)) func(a *altered) {
	return func(a *altered) {
		a.outcome = func(o *store.Outcome) {
			if o.Verb == v {
				alter(o)
			}
		}
	}
}

// TestMutants shows that the suite has teeth: each mutant must fail its case, and
// the reference without a defect must pass it.
func TestMutants(t *testing.T) {
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.what, " ", "-"), func(t *testing.T) {
			c := find(t, m.fails)
			h := Harness{Virtual: true, Open: func(testing.TB) store.Store { return m.store() }}
			failure := verdict(t, h, func(tb testing.TB) { c.against(tb, h) })
			if failure == "" {
				t.Fatalf("%s passes, though %s", m.fails, m.what)
			}
			if !strings.Contains(failure, c.explanation) {
				t.Errorf("%s fails without its explanation: %s", m.fails, failure)
			}
			t.Log(failure)
		})
	}
}

// TestDurableMutants shows the same of the cases of durability, with restarts that
// damage the data.
func TestDurableMutants(t *testing.T) {
	each := func(alter func(q *line, it *item)) func(d *disk) {
		return func(d *disk) {
			for _, q := range d.queues {
				for _, it := range q.items {
					alter(q, it)
				}
			}
		}
	}
	for _, m := range []struct {
		what   string
		fails  string
		damage func(d *disk)
	}{
		{"loses the newest message", "Durable/Messages", func(d *disk) { q := d.queues["q"]; q.items = q.items[:len(q.items)-1] }},
		{"loses headers", "Durable/Messages", each(func(_ *line, it *item) { it.Headers = nil })},
		{"changes Sent", "Durable/Messages", each(func(_ *line, it *item) { it.sent = it.sent.Add(time.Second) })},
		{"shuffles", "Durable/Order", each(func(_ *line, it *item) { it.seq = it.seq * 2654435761 % 4093 })},
		{"ends delays", "Durable/Delays", each(func(_ *line, it *item) { it.due = time.Now() })},
		{"starts delays anew", "Durable/Delays", each(func(_ *line, it *item) { it.due = it.due.Add(time.Hour) })},
		{"keeps leases for ever", "Durable/Leased", each(func(_ *line, it *item) { it.due = it.due.Add(10_000 * time.Hour) })},
		{"forgets attempts", "Durable/Attempts", each(func(_ *line, it *item) { it.attempts = 0 })},
		{"forgets a Move", "Durable/Settlements", func(d *disk) {
			d.queues["q"].items = append(d.queues["q"].items, d.queues["other"].items...)
		}},
		{"forgets settings", "Durable/Records", func(d *disk) { d.queues["kept"].Settings = nil }},
		{"forgets a pause", "Durable/Records", func(d *disk) { d.queues["kept"].Paused = false }},
		{"forgets tombstones", "Durable/Records", func(d *disk) { delete(d.queues, "gone") }},
		{"counts revisions from the start", "Durable/Records", func(d *disk) { d.revision = 0 }},
		{"starts retention anew", "Durable/Retention", each(func(_ *line, it *item) { it.born = time.Now() })},
	} {
		t.Run(strings.ReplaceAll("a restart "+m.what, " ", "-"), func(t *testing.T) {
			c := find(t, m.fails)
			h := Harness{Virtual: true, Open: openReference(strong), Reopen: func(_ testing.TB, old store.Store) store.Store {
				again := old.(*reference).reopen()
				m.damage(again.disk)
				return again
			}}
			if failure := verdict(t, h, func(tb testing.TB) { c.against(tb, h) }); failure == "" {
				t.Errorf("%s passes, though a restart %s", m.fails, m.what)
			} else {
				t.Log(failure)
			}
		})
	}
}

// TestModelMutants shows the same of Model, for what it can notice.
func TestModelMutants(t *testing.T) {
	for _, m := range mutants {
		if !m.model {
			continue
		}
		t.Run(strings.ReplaceAll(m.what, " ", "-"), func(t *testing.T) {
			for seed := range uint64(60) {
				failure := verdict(t, Harness{Virtual: true}, func(tb testing.TB) {
					s := m.store()
					defer s.Close()
					Model(tb, s, Seeded(seed), 100)
				})
				if failure != "" {
					return
				}
			}
			t.Errorf("Model passes, though %s", m.what)
		})
	}
}
