// Package wranglerconfig makes the queues block of a wrangler configuration true in a
// broker: the file that configures a Worker at Cloudflare configures the consumers of a
// Go process too.
//
//	file, err := wranglerconfig.Load("wrangler.jsonc")
//	cfg, err := file.Environment("") // or "staging"
//	report, err := wranglerconfig.Apply(ctx, broker, cfg)
//
// # What is read
//
// wrangler.toml, wrangler.jsonc and wrangler.json: the script's name, the block queues,
// and those of the environments under env. Everything else in the file is the business
// of others and not looked at. Within the block nothing is passed over: an unknown key,
// a wrong type or a value out of its bounds is a [Problem] with its line, its key, the
// value and the bound, and [File.Environment] returns all of them at once as an [Error].
// What wrangler accepts without heeding it (delivery_delay and remote of a producer,
// visibility_timeout_ms of a consumer) is a warning.
//
// # What is applied
//
// [Apply] does to a broker what wrangler deploy does to an account, and more: queues
// that are missing are created, dead-letter queues too, and each consumer is attached
// under the script's name or updated by what differs, so that applying twice changes
// nothing. A setting that the file does not mention has its default, whatever was set
// before. Like wrangler, Apply removes nothing: neither queues nor consumers that the
// file no longer has; a [Report] lists the latter. [Plan] only tells what Apply would do.
//
// The handler is Go code, registered by [inproq.Handle] under the script's name, before
// or after: without one the messages wait. Producers are ordinary Go code as well; their
// bindings tell which queue they are for ([Config.Queue]).
//
// # Limits
//
// Files have at most [MaxFileBytes]. Values are checked against [File.Limits], by default
// Cloudflare's documented ones; for a broker with others say file.Limits = broker.Limits().
package wranglerconfig

import _ "github.com/inproq/inproq" // for the links above
