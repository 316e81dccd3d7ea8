package eventsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/inproq/inproq"
)

// Create subscribes a queue to events. They arrive from the next Publish on, in this
// process and in others on the same store.
//
// Errors: [ErrUnknownSource], [ErrUnknownEvents], [ErrInvalid], also when the queue has
// 100 subscriptions, [ErrExists]; inproq.ErrQueueNotFound, ctx's and the store's.
func (s *Service) Create(ctx context.Context, spec Spec) (Subscription, error) {
	t, err := s.sourceType(spec.Source.Type)
	if err != nil {
		return Subscription{}, err
	}
	now := time.Now().UTC().Round(time.Millisecond)
	sub := Subscription{
		ID: newID(), Name: spec.Name, Enabled: !spec.Disabled, Source: spec.Source, Queue: spec.Queue,
		Events: spec.Events, CreatedAt: now, ModifiedAt: now,
	}
	sub.Name = cmp.Or(sub.Name, spec.Queue+" "+spec.Source.Type)
	if err := sub.check(t); err != nil {
		return Subscription{}, err
	}
	release, err := s.change(ctx)
	if err != nil {
		return Subscription{}, err
	}
	defer release()
	if err := s.mayHave(sub.Queue); err != nil {
		return Subscription{}, err
	}
	if s.rival(&sub) != nil {
		return Subscription{}, fmt.Errorf("%w (%s)", ErrExists, sub.Source.Type)
	}
	if err := s.put(ctx, &sub, 0); err != nil {
		return Subscription{}, err
	}
	// Another process may have been as fast. Whoever writes second sees the first: when
	// both see each other, both give way, and nobody is left with two.
	if err := s.refresh(ctx); err != nil {
		return Subscription{}, err
	}
	if s.rival(&sub) != nil {
		return Subscription{}, errors.Join(fmt.Errorf("%w (%s)", ErrExists, sub.Source.Type), s.remove(ctx, sub.Queue, sub.ID))
	}
	return s.Get(ctx, sub.ID)
}

// Get describes a subscription.
//
// Errors: [ErrNotFound], ctx's and the store's.
func (s *Service) Get(ctx context.Context, id string) (Subscription, error) {
	if err := s.refresh(ctx); err != nil {
		return Subscription{}, err
	}
	sub, err := s.find(id)
	if err != nil {
		return Subscription{}, err
	}
	return sub.clone(), nil
}

// List describes all subscriptions, the oldest first.
//
// Errors: ctx's and the store's.
func (s *Service) List(ctx context.Context) ([]Subscription, error) {
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	all := s.index.all()
	slices.SortFunc(all, func(a, b *Subscription) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	list := make([]Subscription, len(all))
	for i := range all {
		list[i] = all[i].clone()
	}
	return list, nil
}

// Update merges a change into a subscription. It holds from the next Publish on. While
// another process deletes the subscription, a change of its queue may win.
//
// Errors: as Create, and [ErrNotFound].
func (s *Service) Update(ctx context.Context, id string, u Update) (Subscription, error) {
	release, err := s.change(ctx)
	if err != nil {
		return Subscription{}, err
	}
	defer release()
	for {
		old, err := s.find(id)
		if err != nil {
			return Subscription{}, err
		}
		err = s.updateOnce(ctx, old, u)
		if errRefresh := s.refresh(ctx); errRefresh != nil {
			return Subscription{}, cmp.Or(err, errRefresh)
		}
		if err == nil {
			return s.Get(ctx, id)
		}
		if !errors.Is(err, inproq.ErrConflict) {
			return Subscription{}, err
		}
	}
}

// updateOnce changes a subscription that is as the index says.
func (s *Service) updateOnce(ctx context.Context, old *Subscription, u Update) error {
	sub := old.clone()
	sub.Name = *cmp.Or(u.Name, &sub.Name)
	sub.Enabled = *cmp.Or(u.Enabled, &sub.Enabled)
	sub.Queue = *cmp.Or(u.Queue, &sub.Queue)
	if u.Events != nil {
		sub.Events = u.Events
	}
	t, err := s.sourceType(sub.Source.Type)
	if err == nil {
		err = sub.check(t)
	}
	if err != nil {
		return err
	}
	// Of two with one ID the one that was changed last counts.
	sub.ModifiedAt = time.Now().UTC().Round(time.Millisecond)
	if least := old.ModifiedAt.Add(time.Millisecond); sub.ModifiedAt.Before(least) {
		sub.ModifiedAt = least
	}
	if sub.Queue == old.Queue {
		q, err := s.broker.Queue(ctx, sub.Queue)
		if err != nil {
			return err
		}
		key := annotationPrefix + sub.ID
		is, _, err := parseAnnotation(&q, key, q.Annotations[key])
		if err != nil || !is.ModifiedAt.Equal(old.ModifiedAt) {
			return fmt.Errorf("%w: subscription %s", inproq.ErrConflict, sub.ID)
		}
		return s.put(ctx, &sub, q.Revision)
	}
	if err := s.mayHave(sub.Queue); err != nil {
		return err
	}
	if err := s.put(ctx, &sub, 0); err != nil { // first there, so that it is never nowhere
		return err
	}
	return s.remove(ctx, old.Queue, old.ID)
}

// Delete ends a subscription, at once: the next Publish, in any process on the store,
// does not know it. It returns what the subscription was.
//
// Errors: [ErrNotFound], ctx's and the store's.
func (s *Service) Delete(ctx context.Context, id string) (Subscription, error) {
	release, err := s.change(ctx)
	if err != nil {
		return Subscription{}, err
	}
	defer release()
	sub, err := s.find(id)
	if err != nil {
		return Subscription{}, err
	}
	for _, queue := range s.index.holders(id) {
		if err := s.remove(ctx, queue, id); err != nil {
			return Subscription{}, err
		}
	}
	return sub.clone(), s.refresh(ctx)
}

// change lets one change at a time begin, with an index that is up to date. It is a
// channel, since a mutex is not held across calls of the store.
func (s *Service) change(ctx context.Context) (release func(), err error) {
	select {
	case s.changing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release = func() { <-s.changing }
	if err := s.refresh(ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (s *Service) find(id string) (*Subscription, error) {
	if sub := s.index.current(id); sub != nil {
		return sub, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNotFound, clip(id))
}

// rival returns another subscription to the same source, nil if there is none.
func (s *Service) rival(sub *Subscription) *Subscription {
	for _, e := range s.index.all() {
		if e.ID != sub.ID && e.Source.Equal(sub.Source) {
			return e
		}
	}
	return nil
}

// mayHave checks that a queue has room for a subscription.
func (s *Service) mayHave(queue string) error {
	if n := s.index.of(queue); n >= maxPerQueue {
		return fmt.Errorf("%w: queue %q has %d subscriptions, the most that is allowed", ErrInvalid, queue, n)
	}
	return nil
}

// put writes a subscription to its queue's record, if that has a revision still; 0: in any
// case.
func (s *Service) put(ctx context.Context, sub *Subscription, revision uint64) error {
	key, value := sub.annotation()
	_, err := s.broker.UpdateQueue(ctx, sub.Queue, inproq.QueueUpdate{
		Annotations: map[string]*string{key: &value}, IfRevision: revision,
	})
	return err
}

// remove takes a subscription from a queue's record. A queue that is gone has none.
func (s *Service) remove(ctx context.Context, queue, id string) error {
	_, err := s.broker.UpdateQueue(ctx, queue, inproq.QueueUpdate{
		Annotations: map[string]*string{annotationPrefix + id: nil},
	})
	if errors.Is(err, inproq.ErrQueueNotFound) {
		return nil
	}
	return err
}
