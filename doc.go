// Package inproq is Cloudflare Queues inside a Go process: typed producers, batch
// consumers that acknowledge and retry message by message, delays, dead-letter
// queues, retention and concurrency that follows the load. There is no server to
// run; messages are kept by a [store.Store]: the default one in memory, or a durable one
// in a file of SQLite (module github.com/inproq/inproq/store/sqlite).
//
// # Concepts
//
// A [Broker] holds queues. [Declare] creates a queue, or updates it, and returns a
// [Queue], a typed view: it sends ([Queue.Send], [Queue.SendBatch]), and
// [Queue.Consume] attaches the queue's one consumer, a [Handler] that gets a
// [MessageBatch]. Code that only sends asks for a [Producer].
//
// A queue is consumed in one way: with a handler, or by pulls
// ([Queue.PullConsumer]), which lease messages to whoever wants some. Who consumes, and
// how, is in the queue's record in the store, and can be changed while all runs
// ([Broker.AttachConsumer], [Broker.UpdateConsumer], [Broker.RemoveConsumer]); [Handle]
// names a handler that such a record may ask for.
//
// The methods of Broker are the account plane: they address queues by name and
// know no types. Operators and tools create, update, pause, purge and peek with
// them, bring dead letters back ([Broker.Redrive]), follow what happens
// ([Broker.Events], [Broker.Journey]), and look for settings that are hardly meant
// ([Broker.Lint]).
//
// # Lifecycle
//
// [NewBroker], Declare and Consume only wire things up; they start no goroutine.
// [Broker.Run] delivers until its context ends, and then shuts down:
// with the broker's own store in memory, which ends with it, all that is ready is
// delivered first; with a store that was passed in, handlers that run finish and the
// rest stays there. Sends work before Run and until the last handler has returned.
// [Broker.Shutdown] does the same for code that has no context for Run.
//
// # Delivery
//
// A batch leaves when it has ConsumerConfig.MaxBatchSize messages, or
// MaxBatchTimeout after its first one became ready. It is never empty. As many
// handlers run at once as the load needs, up to MaxConcurrency; an idle queue has
// none.
//
// What a handler does not decide itself, its result decides: nil acknowledges the
// messages, an error or a panic retries them. [Message.Ack] and [Message.Retry]
// decide for one message, [MessageBatch.AckAll] and [MessageBatch.RetryAll] for all
// others. The first call counts: an acknowledged message stays so even if the handler
// fails later. [Each] makes a handler of a function for one message.
//
// A message is delivered up to MaxRetries times again. Then it moves to the
// dead-letter queue with its ID, timestamp and body, and [Message.DeadLetter] tells
// what happened; without a DeadLetterQueue it is deleted.
//
// Pulled messages follow the same rules, but that there is no result to decide: what is
// not decided stays leased, and comes again when its visibility ends.
//
// # Guarantees
//
// Delivery is at least once, and the order is that of sending as far as it goes:
// retries and concurrent handlers change it. A Send that returned nil means that the
// message will be delivered at least once, or is in the dead-letter queue, or
// was kept for its retention, under the failures that the store's
// [store.Guarantee] names. The store in memory survives none: what it holds is gone
// with the process.
//
// # Limits
//
// The defaults are those of Cloudflare: 128,000 bytes a message, 100 messages and
// 256,000 bytes a SendBatch, delays up to 12 hours, retention from 60 seconds to 14
// days, 100 messages a delivered or pulled batch, 250 handlers, 12 hours of visibility.
// [Limits] changes them.
//
// # Errors
//
// Conditions are sentinels to be tested with errors.Is, such as
// [ErrMessageTooLarge]; the texts name field, value and bound. [ErrorCode] gives the
// number that Cloudflare has for one. What cannot be returned, such as a handler's
// failure, is logged once through Config.Logger, and is an [Event].
//
// # Costs
//
// A queue that nobody uses takes about 2 KiB and no goroutine; one with a
// consumer, less than 8 KiB and one parked goroutine. Nothing polls. In memory a
// waiting message takes about 40 bytes beside its body, a delayed one about 72. Events
// and journeys cost an atomic load for each send and each batch while nobody wants any.
//
// # Tests
//
// The broker in memory runs inside a testing/synctest bubble, where a delay of 12
// hours passes at once. Package queuetest has what tests need beside it: assertions,
// producers that record, and a store with seeded faults.
package inproq

import _ "github.com/inproq/inproq/store" // for the links above
