package eventsub

import "errors"

// The errors of this package, to be tested with errors.Is.
var (
	// ErrNotFound: no subscription has that ID.
	ErrNotFound = errors.New("eventsub: no subscription with this ID")
	// ErrExists: the source with these arguments has a subscription. Two that are created
	// at the same time in two processes may both get it.
	ErrExists = errors.New("eventsub: the source has a subscription, and sources do not support multiple subscriptions")
	// ErrUnknownSource: no source of that type is known.
	ErrUnknownSource = errors.New("eventsub: unrecognized source type")
	// ErrUnknownEvents: the source has no such events.
	ErrUnknownEvents = errors.New("eventsub: unrecognized event types")
	// ErrInvalid: a name, an argument, a payload or a number of things out of its bounds.
	// The text says which.
	ErrInvalid = errors.New("eventsub: invalid")
)
