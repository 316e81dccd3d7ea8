// Package httpapi is the REST API of Cloudflare Queues in front of a broker of this
// process: wrangler, the official SDKs, pull consumers in any language and curl work
// against it unchanged.
//
//	api := httpapi.New(broker, httpapi.Config{Authorize: httpapi.StaticTokens(map[string]httpapi.Permission{
//		os.Getenv("QUEUES_TOKEN"): httpapi.QueuesRead | httpapi.QueuesWrite,
//	})})
//	mux := http.NewServeMux()
//	mux.Handle("/client/v4/", api)
//
// Clients are told of it by a base URL and an account id: CLOUDFLARE_API_BASE_URL,
// CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN for wrangler, option.WithBaseURL for
// the Go SDK. Whatever comes before /accounts in a path is the application's: the handler
// works under any prefix, with or without http.StripPrefix. Only a prefix that itself has
// a segment accounts, memberships, user or zones needs it: the API's path begins there.
//
// # What there is
//
// Queues (create, list, get, merge, replace, delete, pause, purge), their consumers,
// messages (push, batch, pull, ack, peek, purge by reference), metrics and event
// subscriptions. Beside them the few requests that wrangler makes on its way: accounts,
// memberships, the token, and two of the Workers API, so that "wrangler triggers deploy"
// attaches the consumers that a wrangler.jsonc names. A worker consumer is the handler
// that is registered under its script's name ([inproq.Handle]); without one its messages
// wait.
//
// Ids of queues and consumers are 32 hex digits, kept with the queue in the store.
//
// # Who may do what
//
// Config.Authorize decides, by the request and the [Permission] that it needs;
// [StaticTokens] is one that knows a fixed set of tokens. Without it the API answers
// only to this machine: to peers on a loopback address that also address it by a
// loopback name, and not to web pages of other origins. Behind a proxy every peer is
// local, so configure Authorize there: without it, requests that a proxy has marked as
// passed on (X-Forwarded-For, Forwarded, Via, X-Real-IP, CF-Connecting-IP) are refused.
//
// # Changes at the same time
//
// A change of a queue's settings is of the queue with the id of the path, whatever others
// do meanwhile, even delete it and create one of its name. All else finds the queue by its
// id and then acts by its name: in the moment between, a queue that is deleted and created
// anew is taken for the one before. That goes for a deletion too.
//
// # Bodies
//
// A body is JSON whatever its Content-Type says. It is read strictly: a key that is
// unknown or comes twice, a number with a fraction, or anything after the value is
// refused with the place where it is, and so is half a surrogate pair in a text, which
// no message could keep. Bodies are bounded by the broker's limits for
// messages, at 64 KB elsewhere, and arrays by the number of their elements.
//
// # Time-outs
//
// A server in the open needs them, and they are the server's: set
// http.Server.ReadHeaderTimeout (10 seconds will do), and IdleTimeout. The body has 30
// seconds to arrive, unless Server.ReadTimeout says something else, and the reply has 30
// seconds to be read, unless Server.WriteTimeout does. Handlers do not wait for messages: a
// pull that finds none returns at once.
//
// A pull or a peek returns fewer messages than it could where their bodies exceed about
// 8 MB, but always one: a pull that comes after it gets the rest.
//
//	server := &http.Server{
//		Handler:           mux,
//		ReadHeaderTimeout: 10 * time.Second,
//		WriteTimeout:      2 * time.Minute,
//		IdleTimeout:       2 * time.Minute,
//		MaxHeaderBytes:    64 << 10,
//	}
//
// # Errors
//
// Every error has Cloudflare's envelope with its number, a text that names field, value
// and bound, and where it is known the place in the body. Where trying again is of no use
// (409, 429, 5xx) the reply has the header x-should-retry: false, without which the SDK
// repeats a request for minutes.
package httpapi
