package eventsub

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/inproq/inproq"
)

// Config is what a Service is made of, beside its broker.
type Config struct {
	// AccountID is what messages say of the account: 32 lower-case hex digits. "": zeros.
	AccountID string
	// Sources are the application's own, beside those of Sources.
	Sources []SourceType
	// Logger gets what cannot be returned. Nil: slog.Default().
	Logger *slog.Logger
}

// Service publishes events to the queues that are subscribed to them, and manages the
// subscriptions. It may be used from any goroutine, and there may be several for one
// broker or one store: they share their subscriptions, but not the sources that are
// registered.
type Service struct {
	broker   *inproq.Broker
	account  string
	log      *slog.Logger
	index    *index
	changing chan struct{} // holds a place while a subscription is changed here

	mu    sync.Mutex
	types map[string]*SourceType // replaced, never changed
}

// New makes a service. It starts no goroutine, and asks the store nothing.
//
// Errors: [ErrInvalid], for the account or a source.
func New(broker *inproq.Broker, cfg Config) (*Service, error) {
	s := &Service{
		broker: broker, account: cmp.Or(cfg.AccountID, strings.Repeat("0", 32)), log: cmp.Or(cfg.Logger, slog.Default()),
		index: newIndex(), changing: make(chan struct{}, 1), types: make(map[string]*SourceType),
	}
	if !isID(s.account) {
		return nil, fmt.Errorf("%w: Config.AccountID %q is not 32 lower-case hex digits", ErrInvalid, clip(s.account))
	}
	for _, t := range slices.Concat(Sources(), cfg.Sources) {
		if err := s.Register(t); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Register adds a type of sources, for this service alone.
//
// Errors: [ErrInvalid], also when the name is taken.
func (s *Service) Register(t SourceType) error {
	if err := t.check(); err != nil {
		return err
	}
	t.Args, t.Extra, t.Events = slices.Clone(t.Args), slices.Clone(t.Extra), slices.Clone(t.Events)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.types[t.Name] != nil {
		return fmt.Errorf("%w: the source type %s is known already", ErrInvalid, t.Name)
	}
	s.types[t.Name] = &t
	return nil
}

// SourceTypes returns all types of sources that the service knows, by name.
func (s *Service) SourceTypes() []SourceType {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]SourceType, 0, len(s.types))
	for _, t := range s.types {
		c := *t
		c.Args, c.Extra = slices.Clone(t.Args), slices.Clone(t.Extra)
		c.Events = slices.Clone(t.Events)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b SourceType) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// sourceType returns a type of sources.
func (s *Service) sourceType(name string) (*SourceType, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.types[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownSource, clip(name))
}

// refresh brings the index up to date with the store.
func (s *Service) refresh(ctx context.Context) error {
	changes, upTo, err := s.broker.Changes(ctx, s.index.revision())
	if err != nil {
		return err
	}
	for _, err := range s.index.apply(changes, upTo) {
		s.log.Warn("event subscription in the store is malformed: it gets no events", "err", err)
	}
	return nil
}

// Publish sends an event to all queues with a subscription to it that is enabled. It
// returns when they have it. An error of one of them does not keep it from the others:
// who publishes again sends it to those twice. That nobody wants the event is no error.
//
// Errors: [ErrUnknownSource], [ErrUnknownEvents], [ErrInvalid] for arguments and payload;
// for queues those of inproq.Queue.Send, such as inproq.ErrMessageTooLarge; ctx's and the
// store's.
func (s *Service) Publish(ctx context.Context, e Event) error {
	return s.publish(ctx, e, func(*Subscription) bool { return true })
}

// publish sends an event to those of its subscriptions that may have it, which it asks
// with an index that is up to date.
func (s *Service) publish(ctx context.Context, e Event, may func(*Subscription) bool) error {
	t, err := s.sourceType(e.Source.Type)
	if err != nil {
		return err
	}
	if !t.has(e.Name) {
		return fmt.Errorf("%w for source %s: %q", ErrUnknownEvents, t.Name, clip(e.Name))
	}
	if err := t.checkArgs(e.Source.Args, t.Extra); err != nil {
		return err
	}
	payload, err := payloadOf(e.Payload)
	if err != nil {
		return err
	}
	if err := s.refresh(ctx); err != nil {
		return err
	}
	subscribed := slices.DeleteFunc(s.index.wanting(e.Type(), e.Source.Args),
		func(sub *Subscription) bool { return !may(sub) })
	if len(subscribed) == 0 {
		return nil
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	m := Message{Type: e.Type(), Source: t.inMessage(e.Source.Args), Payload: payload, Metadata: Metadata{
		AccountID: s.account, EventSchemaVersion: schemaVersion, EventTimestamp: Timestamp{e.Time},
	}}
	var errs []error
	for _, sub := range subscribed {
		m.Metadata.EventSubscriptionID = sub.ID
		errs = append(errs, s.send(ctx, sub, &m))
	}
	return errors.Join(errs...)
}

// newID makes the id of a subscription.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
