// Package eventsub is Cloudflare's event subscriptions inside a Go process: what
// happens somewhere is published as a structured event, and becomes a message in every
// queue that is subscribed to it.
//
// # Concepts
//
// A [Service] belongs to a broker. The application publishes an [Event] with
// [Service.Publish]; [Service.Run] publishes what happens to the queues themselves. An
// event has a [Source] and a name, which together make its type: the event
// "bucket.created" of the source "r2" is a "cf.r2.bucket.created". A [Subscription] names
// a source, some of its events, and the queue that is to get them. A consumer gets each
// as a [Message]:
//
//	q, err := inproq.Declare[eventsub.Message](ctx, broker, "events", inproq.QueueConfig{})
//
// # Sources
//
// All sources and events that Cloudflare documents are known ([Sources]) and nothing else
// can be published or subscribed to, so that a misspelled name is an error and no
// silence. [Config.Sources] and [Service.Register] add an application's own.
//
// A subscription gets an event when its source and the name make the same type, and the
// event's source has all arguments of the subscription's. So events of one repository,
// which is a source of its own, also reach a subscription to all repositories that names
// them as such.
//
// Two sources are of this package, for what [Service.Run] publishes: "queues" has the
// events queue.created, queue.updated, queue.deleted, queue.consumer.attached,
// queue.consumer.updated, queue.consumer.removed and queue.message.deadLettered of all
// queues, and "queues.queue" the same without the prefix "queue." of the one that its
// argument queue_name names.
//
// # Where subscriptions are kept
//
// A subscription is an annotation of its destination queue, under the key "eventsub/" and
// its ID. So it survives a restart where the store does, and goes with its queue. All
// services on one store share their subscriptions: what one creates, disables or deletes
// holds for the next event that any of them publishes.
//
// # Guarantees
//
// Publish returns when the queues have the event; each then delivers it at least once.
// If a queue does not accept it the error says so, and the others have it. There is one
// subscription for each source with its arguments, as at Cloudflare.
//
// # Costs and limits
//
// Publishing asks the store once whether queues have changed, and looks the type up in an
// index; each subscription that matches is one send. A change of a queue costs the next
// Publish what it takes to read that queue's annotations. A queue has at most 100
// subscriptions, each with at most 100 events. An event as JSON is a message, so
// [inproq.Limits] bound it: 128,000 bytes.
//
// # Errors
//
// [ErrNotFound], [ErrExists], [ErrUnknownSource], [ErrUnknownEvents], [ErrInvalid], and
// those of package inproq.
package eventsub
