package inproq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// Broker holds the queues of a process. Make one with NewBroker, give it queues
// with [Declare] and handlers with [Queue.Consume], and run it with Run. It may be
// used from any goroutine.
//
// Its own methods are the account plane: they address queues by name and know
// nothing of types.
type Broker struct {
	store     store.Store
	owned     bool // the store is ours to close
	guarantee store.Guarantee
	local     store.Local // the store, if it is in this process
	log       *slog.Logger
	limits    Limits
	grace     time.Duration // ShutdownTimeout
	catalog   catalog
	epoch     time.Time // with a monotonic reading
	phase     atomic.Int32
	events    hub
	forget    func()   // of store.Reporter
	journal   *journal // nil: Config.Journey is off

	mu        sync.Mutex
	endpoints map[string]*endpoint
	scripts   map[string]*script     // by name
	active    map[*Consumer]struct{} // with an engine that is not closed
	values    context.Context        // of Run: where handlers' contexts get their values
	stop      context.CancelFunc     // ends Run; nil: it does not run

	turns     int             // of loops over pulled batches that are under way
	turnsOver chan struct{}   // closed when there are none; nil: nobody waits
	pulling   context.Context // ends when a shutdown begins
	endPulls  context.CancelFunc

	late  context.Context // ends when a shutdown is to wait no more
	hurry context.CancelFunc
	done  chan struct{} // closed when the shutdown is through
	err   error         // its result; valid when done is closed
}

// The phases of a broker, in their order.
const (
	open     int32 = iota // accepts sends and consumers
	running               // delivers too
	draining              // Run is about to return: sends go on, nothing new begins
	closed                // refuses everything
)

// NewBroker makes a broker. It starts no goroutine.
//
// Errors: [ErrInvalidConfig], which lists every violation.
func NewBroker(cfg Config) (*Broker, error) {
	var v violations
	limits := cfg.Limits.normalize(&v)
	if cfg.ShutdownTimeout < 0 || cfg.ShutdownTimeout > maxDuration {
		v.add("ShutdownTimeout", cfg.ShutdownTimeout, fmt.Sprintf("1ns to %v, or zero for %v", maxDuration, defaultShutdownTimeout))
	}
	if err := v.err(ErrInvalidConfig); err != nil {
		return nil, err
	}
	b := &Broker{
		store:     cfg.Store,
		log:       cmp.Or(cfg.Logger, slog.Default()),
		limits:    limits,
		grace:     cmp.Or(cfg.ShutdownTimeout, defaultShutdownTimeout),
		epoch:     time.Now(),
		endpoints: make(map[string]*endpoint),
		scripts:   make(map[string]*script),
		active:    make(map[*Consumer]struct{}),
		done:      make(chan struct{}),
	}
	if b.store == nil {
		b.store, b.owned = memory.New(), true
	}
	b.pulling, b.endPulls = context.WithCancel(context.Background())
	b.late, b.hurry = context.WithCancel(context.Background())
	b.guarantee = b.store.Guarantee()
	b.local, _ = b.store.(store.Local)
	if r, ok := b.store.(store.Reporter); ok {
		b.forget = r.OnFailure(b.storeFailed)
	}
	if cfg.Journey {
		b.journal = newJournal()
		b.events.tapInto(b.journal.note)
	}
	b.catalog = catalog{store: b.store, changed: b.audit, follow: b.follow, queues: make(map[string]*record)}
	return b, nil
}

// storeFailed tells that the store accepts no writes any more. The store has logged it.
func (b *Broker) storeFailed(reason error) {
	b.events.tell(&note{Event: Event{Kind: EventStoreFailed, Time: time.Now(), Err: reason}})
}

// unixNano is the time for message ids: one reading of the monotonic clock, if
// possible the one that the store needs too.
func (b *Broker) unixNano() int64 {
	if b.local != nil {
		return b.local.Now()
	}
	return b.epoch.UnixNano() + int64(time.Since(b.epoch))
}

// Run delivers messages until ctx ends or Shutdown is called, and then shuts
// down:
//
//   - Nothing waits for a full batch any more. If the broker made its own store,
//     which dies with it, all messages that are ready are delivered, also those
//     that handlers and others still send, so senders should end first; with a store that was passed in, handlers that run
//     finish, and the rest stays in the store.
//   - After Config.ShutdownTimeout the contexts of handlers that still run end
//     with the cause [ErrShutdownTimeout], and 5 seconds later (or once more
//     ShutdownTimeout, if that is shorter) their batches are settled without them.
//   - Sends work until the last handler has returned, and fail with
//     [ErrBrokerClosed] from then on.
//
// It returns nil, or ErrShutdownTimeout when handlers had to be cancelled, or what
// kept a consumer from starting: [ErrQueueNotFound], [ErrConsumerExists], or the
// store's error. A broker runs once: a second Run, or one after
// Shutdown, returns ErrBrokerClosed at once.
//
// Handlers' contexts have ctx's values but do not end with it. With a store that was
// passed in, Run also follows the changes that others make to its queues and their
// consumers.
func (b *Broker) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	waiting, err := b.begin(ctx, stop)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range waiting {
		errs = append(errs, c.start()) // also when ctx has ended: what is ready is delivered
	}
	errs = append(errs, b.bindAtRun())
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, b.shutDown())
	}
	var watch sync.WaitGroup
	if !b.owned { // of its own store the broker knows every change
		watch.Go(func() { b.watch(ctx) })
	}
	b.lintAtRun(ctx)
	<-ctx.Done()
	watch.Wait()
	return b.shutDown()
}

// Must returns v, for wiring a program with few words:
//
//	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
//
// Panics if err is not nil.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// begin turns an open broker into one that runs, and returns the consumers that
// were registered before.
func (b *Broker) begin(ctx context.Context, stop context.CancelFunc) ([]*Consumer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.phase.CompareAndSwap(open, running) {
		return nil, ErrBrokerClosed
	}
	b.values, b.stop = context.WithoutCancel(ctx), stop
	var waiting []*Consumer
	for _, ep := range b.endpoints {
		if c := ep.current(); c != nil {
			waiting = append(waiting, c)
		}
	}
	return waiting, nil
}

// Shutdown is for code that owns no context for Run: it makes Run shut down, and
// waits until that is done. The grace for handlers that run ends with ctx, or
// after Config.ShutdownTimeout if that is sooner. It returns what Run does. A
// broker that does not run is closed at once, and what its own store holds is
// discarded; one that is closed already stays so. A handler must not call it: it
// would wait for itself until the grace is over.
func (b *Broker) Shutdown(ctx context.Context) error {
	defer context.AfterFunc(ctx, b.hurry)()
	b.mu.Lock()
	wasOpen := b.phase.CompareAndSwap(open, draining)
	stop := b.stop
	b.mu.Unlock()
	if wasOpen {
		return b.shutDown()
	}
	if stop != nil {
		stop()
	}
	<-b.done
	return b.err
}

// known returns the endpoint of a queue, or nil when the broker has not met it.
func (b *Broker) known(name string) *endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endpoints[name]
}

// endpoint returns the endpoint of a queue, new if need be.
func (b *Broker) endpoint(name string) *endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	ep := b.endpoints[name]
	if ep == nil {
		ep = &endpoint{broker: b, name: name}
		// A small limit can be reached by the first send.
		ep.nearlyFull.Store(b.limits.MaxBacklogBytes < smallBacklog)
		if n := b.limits.MessagesPerSecond; n > 0 {
			ep.limiter = newLimiter(n)
		}
		b.endpoints[name] = ep
	}
	return ep
}

// follow passes a changed record on to whom it concerns.
func (b *Broker) follow(r *record) {
	if ep := b.known(r.Name); ep != nil {
		ep.follow(r)
	}
	b.bindScript(r)
}

// declare creates a queue, or changes it by what is declared.
func (b *Broker) declare(ctx context.Context, name string, cfg QueueConfig) (*record, error) {
	for {
		r, err := b.modify(ctx, name, func(r *record) error { r.declare(cfg); return nil })
		if !errors.Is(err, ErrQueueNotFound) {
			return r, err
		}
		r = newRecord(name, cfg)
		r.declare(cfg)
		if r, err = b.catalog.put(ctx, r); !errors.Is(err, store.ErrConflict) {
			return r, fromStore(err, name)
		}
		// Another has created it just now.
	}
}

// ensureQueue creates a queue that does not exist, with default settings.
func (b *Broker) ensureQueue(ctx context.Context, name string) error {
	if _, err := b.catalog.get(ctx, name); !errors.Is(err, store.ErrQueueNotFound) {
		return fromStore(err, name)
	}
	_, err := b.CreateQueue(ctx, name, QueueConfig{})
	if errors.Is(err, ErrQueueExists) {
		return nil
	}
	return err
}

// mayChange checks the name of a queue that is to be changed, and that the broker
// still does that.
func (b *Broker) mayChange(name string) error {
	if b.phase.Load() == closed {
		return ErrBrokerClosed
	}
	return checkName(name)
}

// hold keeps new messages from the handlers of a queue in this process, until
// release is called, which is never nil. When it has returned, none is between
// the store and a handler.
func (b *Broker) hold(ctx context.Context, name string) (release func(), err error) {
	ep := b.known(name)
	if ep == nil {
		return func() {}, nil
	}
	e := ep.engine()
	if e == nil {
		return func() {}, nil
	}
	return e.Resume, e.Hold(ctx)
}
