package eventsub

import (
	"slices"
	"sync"

	"github.com/inproq/inproq"
)

// An index finds subscriptions by their IDs and by the types of events that they want. It
// is a copy of what the queues' annotations say.
type index struct {
	mu     sync.Mutex
	upTo   uint64                     // the revision up to which it has everything
	queues map[string][]*Subscription // by name of the destination, in no order
	byID   map[string][]*Subscription // more than one while it is moved from queue to queue
	byType map[string][]*Subscription
	dead   map[string]string // the dead-letter queue of each queue that has one
}

func newIndex() *index {
	return &index{
		queues: make(map[string][]*Subscription),
		byID:   make(map[string][]*Subscription),
		byType: make(map[string][]*Subscription),
		dead:   make(map[string]string),
	}
}

// revision is where it ends.
func (x *index) revision() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.upTo
}

// apply takes over what has changed up to a revision, and returns what could not be
// understood. When another call was faster, it knows all of that.
func (x *index) apply(changes []inproq.QueueChange, upTo uint64) (errs []error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		if c.Revision <= x.upTo {
			continue
		}
		for _, s := range x.queues[c.Name] {
			x.drop(s)
		}
		delete(x.queues, c.Name)
		delete(x.dead, c.Name)
		if c.Consumer != nil && c.Consumer.Settings.DeadLetterQueue != "" {
			x.dead[c.Name] = c.Consumer.Settings.DeadLetterQueue
		}
		for key, value := range c.Annotations { // none of a queue that is no more
			s, ok, err := parseAnnotation(&c.QueueInfo, key, value)
			switch {
			case err != nil:
				errs = append(errs, err)
			case ok:
				x.add(s)
			}
		}
	}
	x.upTo = max(x.upTo, upTo)
	return errs
}

// add and drop replace the lists, which readers may hold.
func (x *index) add(s *Subscription) {
	put := func(m map[string][]*Subscription, key string) { m[key] = append(slices.Clip(m[key]), s) }
	put(x.queues, s.Queue)
	put(x.byID, s.ID)
	for _, e := range s.Events {
		put(x.byType, typeOf(s.Source.Type, e))
	}
}

func (x *index) drop(s *Subscription) {
	take := func(m map[string][]*Subscription, key string) {
		rest := slices.DeleteFunc(slices.Clone(m[key]), func(other *Subscription) bool { return other == s })
		if m[key] = rest; len(rest) == 0 {
			delete(m, key)
		}
	}
	take(x.byID, s.ID)
	for _, e := range s.Events {
		take(x.byType, typeOf(s.Source.Type, e))
	}
}

// current returns the subscription with an ID, nil if there is none.
func (x *index) current(id string) *Subscription {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.currentLocked(id)
}

func (x *index) currentLocked(id string) (newest *Subscription) {
	for _, s := range x.byID[id] {
		if newest == nil || s.newer(newest) {
			newest = s
		}
	}
	return newest
}

// holders are the queues that have the subscription among their annotations.
func (x *index) holders(id string) (queues []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.byID[id] {
		queues = append(queues, s.Queue)
	}
	return queues
}

// all returns every subscription, in no order.
func (x *index) all() []*Subscription {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]*Subscription, 0, len(x.byID))
	for id := range x.byID {
		all = append(all, x.currentLocked(id))
	}
	return all
}

// of returns how many subscriptions a queue has.
func (x *index) of(queue string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.queues[queue])
}

// wanting returns the enabled subscriptions that want events of a type from a source with
// these arguments.
func (x *index) wanting(typ string, args map[string]string) (found []*Subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.wantingLocked(typ, args)
}

func (x *index) wantingLocked(typ string, args map[string]string) (found []*Subscription) {
	for _, s := range x.byType[typ] {
		if s.Enabled && s.Source.covers(args) && s == x.currentLocked(s.ID) {
			found = append(found, s)
		}
	}
	return found
}

// leads reports whether a message in one queue may, by dying again and again, bring one
// into another queue: itself, on its way through dead-letter queues, or an event that
// tells of a death on that way.
func (x *index) leads(from, to string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	died := typeOf(sourceQueue, EventDeadLettered)
	way := []string{from}
	seen := map[string]bool{from: true}
	step := func(queue string) {
		if !seen[queue] {
			seen[queue] = true
			way = append(way, queue)
		}
	}
	for len(way) > 0 {
		queue := way[0]
		way = way[1:]
		if queue == to {
			return true
		}
		next, dies := x.dead[queue]
		if !dies {
			continue // it is deleted there, which nobody is told of
		}
		step(next)
		for _, s := range x.wantingLocked(died, map[string]string{argQueue: queue}) {
			step(s.Queue)
		}
	}
	return false
}
