package inproq

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/store"
)

// PeekedMessage is a message that was looked at. It stays where it is.
type PeekedMessage struct {
	ID MessageID
	// Ref names the message for PeekAfter and PurgeMessages, while it is in the
	// queue. It is no lease.
	Ref         string
	Body        []byte // as it is stored; do not write to it
	ContentType ContentType
	Headers     map[string]string // nil: none, or they are malformed
	Timestamp   time.Time
	Attempts    int // deliveries so far
}

// Peek returns up to limit messages that are not with a handler, without taking
// them: those that are ready first, about in the order of delivery, then those
// that are delayed. It counts no attempt, and may be repeated.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrInvalidConfig] for a limit
// below 1, ctx's and the store's.
func (b *Broker) Peek(ctx context.Context, name string, limit int) ([]PeekedMessage, error) {
	return b.PeekAfter(ctx, name, "", limit)
}

// PeekAfter goes on where an earlier Peek has ended: behind the message that ref
// names, which may be gone by now. "" is the beginning.
//
// Errors: as Peek, and [ErrInvalidConfig] for a ref that is none.
func (b *Broker) PeekAfter(ctx context.Context, name, ref string, limit int) ([]PeekedMessage, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("%w: limit is %d, allowed: at least 1", ErrInvalidConfig, limit)
	}
	var after store.Lease
	if ref != "" {
		var ok bool
		if after, ok = parseRef(ref); !ok {
			return nil, fmt.Errorf("%w: %q is no reference of a peeked message", ErrInvalidConfig, ref)
		}
	}
	found, err := b.store.Peek(ctx, name, after, limit)
	if err != nil {
		return nil, fromStore(err, name)
	}
	msgs := make([]PeekedMessage, len(found))
	for i := range found {
		d := &found[i]
		msgs[i] = PeekedMessage{
			ID: MessageID(d.ID), Ref: formatRef(d.Lease), Body: d.Body, ContentType: ContentType(d.ContentType),
			Timestamp: d.Sent, Attempts: d.Attempts,
		}
		// Headers that do not decode are shown as none: the rest is what one wants
		// to see of such a message.
		msgs[i].Headers, _ = headers.Decode(d.Headers)
	}
	return msgs, nil
}

// PurgeMessages deletes single messages by the references that Peek returned. Of
// those it could not delete the result has a warning: they are gone, or with a
// handler.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrBrokerClosed], ctx's and
// the store's.
func (b *Broker) PurgeMessages(ctx context.Context, name string, refs []string) (warnings map[string]string, err error) {
	if err := b.mayChange(name); err != nil {
		return nil, err
	}
	warn := func(ref, text string) {
		if warnings == nil {
			warnings = make(map[string]string)
		}
		warnings[ref] = text
	}
	var outcomes []store.Outcome
	var named []string
	for _, ref := range slices.Compact(slices.Sorted(slices.Values(refs))) {
		lease, ok := parseRef(ref)
		if !ok {
			warn(ref, "not a reference of a peeked message")
			continue
		}
		outcomes, named = append(outcomes, store.Outcome{Lease: lease, Verb: store.Ack}), append(named, ref)
	}
	lost, unsure, err := b.settle(ctx, name, outcomes)
	if err != nil {
		return nil, fromStore(err, name)
	}
	for _, i := range lost {
		if unsure {
			warn(named[i], "the store's answer was lost: the message is deleted now, or was gone or with a consumer")
			continue
		}
		warn(named[i], "the message is gone or with a consumer")
	}
	b.notePurged(name, int64(len(outcomes)-len(lost)))
	return warnings, nil
}

// settle settles outcomes that no consumer decides. It tries again while the store is
// unavailable, and reports unsure when it did: what is lost then may have been settled.
func (b *Broker) settle(ctx context.Context, name string, list []store.Outcome) (lost []int, unsure bool, err error) {
	s := *b.endpoint(name).settler()
	s.EnsureQueue = nil // a destination that is gone is an error here
	return s.Settle(ctx, list)
}

// refPrefix tells references from lease ids, which a caller might mix up.
const refPrefix = "p."

func formatRef(l store.Lease) string {
	return refPrefix + base64.RawURLEncoding.EncodeToString([]byte(l))
}

func parseRef(ref string) (store.Lease, bool) {
	text, ok := strings.CutPrefix(ref, refPrefix)
	if !ok || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return "", false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return store.Lease(b), err == nil && len(b) > 0
}
