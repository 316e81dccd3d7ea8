// Package dispatch runs the handler of one queue.
//
// An [Engine] leases messages from the store, fills batches, delivers each to
// the handler, and settles what the handler decided:
//
//	lease.go ─▶ fill.go ─▶ deliver.go ─▶ settle.go
//
// There is no dispatcher goroutine and no pool of workers. One goroutine, the
// filler, waits in the store's Lease. When it has a batch it gives the role of the
// filler up, starts a goroutine to take it if another handler may run, and runs
// the handler itself; when that is done and the role is free, it takes it again,
// and otherwise it ends. So an idle queue has one parked goroutine, a message
// meets its handler without a switch between goroutines, a batch that fills is
// never split among several, and handlers that return at once are all run by one
// goroutine: the other finds the role taken whenever it gets to run.
//
// The engine knows nothing of types: the handler it is given takes a [Batch] of
// bytes.
package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/inproq/inproq/internal/autoscale"
	"github.com/inproq/inproq/store"
)

// Settings are what may change while an engine runs. A change takes effect on
// the next batch.
type Settings struct {
	BatchSize       int
	BatchTimeout    time.Duration // zero: a batch leaves as soon as it has a message
	MaxRetries      int
	RetryDelay      time.Duration
	Backoff         func(attempts int) time.Duration // nil: RetryDelay
	MaxDelay        time.Duration                    // bounds Backoff
	MaxConcurrency  int                              // ceiling of the autoscaler
	MaxDuration     time.Duration
	DeadLetterQueue string // "": exhausted messages are deleted
}

// Config is what an engine is made of. All fields are required.
type Config struct {
	Store    store.Store
	Queue    string
	Settings Settings
	// Handle is called with every batch, in a goroutine of the engine's. It may
	// panic.
	Handle func(ctx context.Context, b *Batch) error
	// EnsureQueue creates a dead-letter queue that does not exist.
	EnsureQueue func(ctx context.Context, name string) error
	// Ended is called when the engine stops by itself, because its queue was
	// deleted or the store was closed. It may not call the engine's Stop.
	Ended func(err error)
	// Grace is how long a handler that has outlived MaxDuration is waited for
	// before its batch is settled without it.
	Grace    time.Duration
	Logger   *slog.Logger
	Counters *Counters
	Observer Observer
}

type phase uint8

const (
	ready    phase = iota // not started
	running               // delivers what comes
	draining              // delivers what is ready, and does not wait for more
	stopped               // delivers nothing any more
)

// An Engine delivers the messages of one queue. New makes one, Start starts it,
// Stop ends it for good.
type Engine struct {
	Settler
	cfg       Config
	guarantee store.Guarantee
	log       *slog.Logger
	wg        sync.WaitGroup // all goroutines of the engine
	life      func()         // of one of them: fillAndRun
	local     store.Local    // the store, until the first lease; nil: it is not in this process
	out       store.Outlet   // of the queue, from then on; nil: there is none

	base   context.Context         // of settlements; never ends
	work   context.Context         // of handlers; ends when Cancel is called
	cancel context.CancelCauseFunc // of work

	mu        sync.Mutex
	settings  *Settings // replaced, not changed: batches go by those that they began with
	phase     phase
	hurried   bool            // batches do not wait to be full
	held      int             // calls of Hold that have not been released
	filling   bool            // a goroutine has the role of the filler
	pending   bool            // one was started to take it, and has not run yet
	running   int             // batches whose handler has not returned
	delivered uint64          // batches handed to the handler so far
	live      []*Batch        // those batches, in no order
	trouble   outage          // of Lease; the filler's own
	fetch     context.Context // of the filler; replaced by each interruption
	interrupt context.CancelFunc
	changed   chan struct{} // closed at the next change of filling or running; nil: nobody waits
	watch     alarm         // for handlers that are stuck
	beat      alarm         // for renewing leases
	beating   bool          // leases are being renewed
	scaler    *autoscale.Controller
	lastScale autoscale.Decision
	flow      flow // what went through, for the scaler
}

// New returns an engine. It starts no goroutine.
func New(cfg Config) *Engine {
	log := cfg.Logger.With("queue", cfg.Queue)
	e := &Engine{
		Settler: Settler{
			Store: cfg.Store, Queue: cfg.Queue, EnsureQueue: cfg.EnsureQueue,
			Log: log, Counters: cfg.Counters, Observer: cfg.Observer,
		},
		cfg:       cfg,
		guarantee: cfg.Store.Guarantee(),
		log:       log,
	}
	e.settings = &e.cfg.Settings
	e.local, _ = cfg.Store.(store.Local)
	e.life, e.watch.ring, e.beat.ring = e.fillAndRun, e.onWatch, e.onBeat
	return e
}

// Start begins to deliver. Handlers' contexts have the values of ctx, and do not
// end with it. An engine that was stopped stays so.
func (e *Engine) Start(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.phase != ready {
		return
	}
	e.base = context.WithoutCancel(ctx)
	e.work, e.cancel = context.WithCancelCause(e.base)
	e.fetch, e.interrupt = context.WithCancel(e.base)
	e.scaler = autoscale.New(time.Now())
	e.phase = running
	e.fillIfFree()
}

// Update changes the settings, from the next batch on.
func (e *Engine) Update(s Settings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hurried {
		s.BatchTimeout = 0
	}
	e.settings = &s
	e.disturb()
	e.fillIfFree() // the ceiling may have risen
}

// Hold stops deliveries and returns when every message that was leased and that
// no handler has seen is back in the queue. Batches that run go on. Every Hold
// needs a Resume, also one that failed because ctx ended.
func (e *Engine) Hold(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held++
	e.disturb()
	return e.await(ctx, func() bool { return !e.filling })
}

// Resume ends a Hold.
func (e *Engine) Resume() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held--
	e.fillIfFree()
}

// Hurry makes batches leave as soon as they have a message, from now on: before a Drain
// that has to wait for others.
func (e *Engine) Hurry() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hurried = true
	s := *e.settings
	s.BatchTimeout = 0
	e.settings = &s
	e.disturb()
}

// Drain delivers what is ready, in batches that do not wait to be full, and
// returns when nothing is and no handler runs. It reports how many batches that
// were. It may be called again: handlers of other queues may have sent here
// meanwhile. The engine does not wait for messages from then on.
func (e *Engine) Drain(ctx context.Context) (batches uint64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.delivered
	if e.phase == running {
		e.phase = draining
		e.disturb()
	}
	e.fillIfFree()
	err = e.await(ctx, e.quiet)
	return e.delivered - before, err
}

// Stop ends deliveries for good. What was leased and no handler has seen goes
// back; Stop returns when the handlers have returned, or with ctx's error.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop()
	return e.await(ctx, e.quiet)
}

// Halt is Stop without the wait.
func (e *Engine) Halt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop()
}

// stop is Halt. The caller holds mu.
func (e *Engine) stop() {
	e.phase = stopped
	e.disturb()
}

// Idle returns when no handler runs and all that it has led to is told, or with ctx's
// error.
func (e *Engine) Idle(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.await(ctx, func() bool { return e.running == 0 })
}

// Cancel ends the contexts of the handlers that run.
func (e *Engine) Cancel(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cancel != nil {
		e.cancel(cause)
	}
}

// Close stops an engine and ends it: batches whose handlers still have not returned
// are settled without them. It returns how many those were.
func (e *Engine) Close() int {
	e.mu.Lock()
	e.stop()
	stuck := e.abandon(func(*Batch) bool { return true })
	e.watch.stop()
	e.beat.stop()
	if e.interrupt != nil {
		e.interrupt()
		e.cancel(context.Canceled)
	}
	n := e.running
	e.mu.Unlock()
	for _, b := range stuck {
		e.concludeStuck(b)
	}
	if n == 0 {
		e.wg.Wait()
	}
	return n
}

// quiet reports whether nothing runs and nobody fills. The caller holds mu.
func (e *Engine) quiet() bool { return !e.filling && !e.pending && e.running == 0 }

// disturb makes the filler give back what it has and look at the state anew.
// The caller holds mu.
func (e *Engine) disturb() {
	if e.interrupt == nil {
		return // it was never started
	}
	e.interrupt()
	e.fetch, e.interrupt = context.WithCancel(e.base)
}

// mayFill reports whether another batch may be leased. The caller holds mu.
func (e *Engine) mayFill() bool {
	return e.held == 0 && (e.phase == running || e.phase == draining) && e.running < e.limit()
}

// limit is the number of handlers that may run now. The caller holds mu.
func (e *Engine) limit() int { return max(1, min(e.scaler.Limit(), e.settings.MaxConcurrency)) }

// fillIfFree starts a filler if there is none and there may be one. The caller
// holds mu.
func (e *Engine) fillIfFree() {
	if !e.filling && !e.pending && e.mayFill() {
		e.pending = true
		e.wg.Go(e.life)
	}
}

// takeRole makes the calling goroutine the filler, if there is none and there may
// be one. The caller holds mu.
func (e *Engine) takeRole() bool {
	if e.filling || !e.mayFill() {
		return false
	}
	e.filling = true
	return true
}

// await waits until cond holds. The caller holds mu, which is released while
// waiting.
func (e *Engine) await(ctx context.Context, cond func() bool) error {
	for !cond() {
		if e.changed == nil {
			e.changed = make(chan struct{})
		}
		changed := e.changed
		e.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		e.mu.Lock()
		if err := ctx.Err(); err != nil && !cond() {
			return err
		}
	}
	return nil
}

// notify wakes those who await. The caller holds mu.
func (e *Engine) notify() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}
