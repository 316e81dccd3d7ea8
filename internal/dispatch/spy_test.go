package dispatch

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

// A spy stands between an engine and its store: it writes down what the engine
// asks, and lets a test answer instead of the store.
type spy struct {
	store.Store
	guarantee store.Guarantee

	mu      sync.Mutex
	leasing int // callers in Lease now
	most    int // the most there were at once
	claims  []store.Claim
	settled []settleCall
	leaser  map[store.Lease]string // the goroutine that a lease was given to
	lease   leaseFunc
	settle  settleFunc
}

type settleCall struct {
	at       time.Time
	outcomes []store.Outcome
}

type (
	leaseFunc  func(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error)
	settleFunc func(ctx context.Context, queue string, o []store.Outcome) ([]int, error)
)

func (s *spy) Guarantee() store.Guarantee { return s.guarantee }

// onLease makes f answer instead of the store; nil: the store again.
func (s *spy) onLease(f leaseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease = f
}

// onSettle makes f answer instead of the store; nil: the store again.
func (s *spy) onSettle(f settleFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle = f
}

func (s *spy) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	s.mu.Lock()
	s.leasing++
	s.most = max(s.most, s.leasing)
	s.claims = append(s.claims, c)
	lease := s.lease
	s.mu.Unlock()
	if lease == nil {
		lease = s.Store.Lease
	}
	ds, err := lease(ctx, queue, c, buf)
	me := goroutine()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leasing--
	for _, d := range ds {
		s.leaser[d.Lease] = me
	}
	return ds, err
}

func (s *spy) Settle(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
	s.mu.Lock()
	s.settled = append(s.settled, settleCall{time.Now(), append([]store.Outcome(nil), o...)})
	settle := s.settle
	s.mu.Unlock()
	if settle == nil {
		settle = s.Store.Settle
	}
	return settle(ctx, queue, o)
}

// fillers are the goroutines in Lease now, and the most there were at once.
func (s *spy) fillers() (now, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leasing, s.most
}

// lastClaim is what the engine asked for most recently.
func (s *spy) lastClaim() store.Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claims[len(s.claims)-1]
}

// calls returns the calls of Settle whose first outcome has the verb.
func (s *spy) calls(v store.Verb) []settleCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []settleCall
	for _, c := range s.settled {
		if c.outcomes[0].Verb == v {
			found = append(found, c)
		}
	}
	return found
}

// goroutine names the calling goroutine.
func goroutine() string {
	buf := make([]byte, 64)
	buf = buf[:runtime.Stack(buf, false)]
	return string(bytes.Fields(buf)[1])
}

// goroutinesIn counts the goroutines that have a function on their stack.
func goroutinesIn(function string) (n int) {
	buf := make([]byte, 1<<20)
	for stack := range bytes.SplitSeq(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
		if bytes.Contains(stack, []byte(function+"(")) {
			n++
		}
	}
	return n
}
