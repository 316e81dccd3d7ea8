// Package graphqlapi answers Cloudflare's GraphQL analytics queries about queues from a
// broker in this process: what wrangler's and the dashboard's charts, or a Grafana of
// one's own, are made of.
//
//	mux.Handle("/client/v4/graphql", graphqlapi.New(broker, graphqlapi.Config{Authorize: tokens}))
//	mux.Handle("/client/v4/", httpapi.New(broker, httpapi.Config{Authorize: tokens}))
//
// # Datasets
//
// Below viewer and accounts there are the three that Cloudflare has for queues, each with
// the arguments limit, filter and orderBy:
//
//   - queuesBacklogAdaptiveGroups, which Cloudflare's example calls
//     queueBacklogAdaptiveGroups (both names are good): avg of messages and bytes.
//   - queueConsumerMetricsAdaptiveGroups: avg of concurrency, the handlers that run.
//   - queueMessageOperationsAdaptiveGroups: count of messages; sum of billableOperations and
//     bytes; avg of lagTime (milliseconds from the send to the operation) and retryCount
//     (of one message); max of messageSize (bytes).
//
// Dimensions are queueId (or queueID), date, datetime, datetimeHour, datetimeFifteenMinutes,
// datetimeFiveMinutes and datetimeMinute, and for operations actionType (WriteMessage,
// ReadMessage, DeleteMessage), consumerType (worker, http, or empty) and outcome (success,
// dlq, fail, or empty). What is selected in dimensions makes the groups; without it all is
// one group, and where nothing fits there is none.
//
// A filter names dimensions, each for itself or with one of _gt, _geq, _lt, _leq, _neq,
// _in and _notin at its end; AND and OR take lists of filters. orderBy names selected
// dimensions, count, or aggregations such as sum_bytes, with _ASC or _DESC at the end.
//
// # What the figures are
//
// They come from [inproq.Broker.Minutes] and so are of this process, of the last 360
// minutes in which something happened to a queue, and by the minute: a minute counts if
// any of it is between datetime_geq and datetime_leq, and datetime is where it begins.
// Averages of backlog and concurrency are over time. In minutes of the last 24 hours in
// which nothing happened the backlog is what it was before, and the concurrency zero;
// older ones are left out. Of writes lag, retries and message sizes are not known and do
// not enter the averages.
//
// # Limits
//
// A query has up to 64 KiB with its variables, 4,000 tokens, 10 datasets, and 10,000
// fields when its fragments are put where they are spread. limit is 1 to 10,000, and
// 10,000 unless set. Of a dataset up to 64 values are selected, each name that one has
// counted, and orderBy names up to 16. All groups together have up to 500,000 values, and
// a reply 32 MiB. A list of _in or _notin has up to 100 values, and a filter 250 values
// and filters within it. A query whose datasets have to look at more than 2,000,000
// minutes of queues is refused: filter by queueId.
//
// A request has 30 seconds to arrive unless the server has a ReadTimeout, and a reply a
// minute to be taken unless it has a WriteTimeout. A query ends when its caller is gone.
//
// # Errors
//
// As with Cloudflare a query that cannot be answered has status 200, data null and the
// reasons in errors. A request that is not allowed has 403, one that is no GraphQL request
// 400, one with another method than POST 405, one that takes too long to arrive 408, and
// one that is too large 413.
//
// # Costs
//
// A dataset costs one call of the store for each queue that its filter does not exclude by
// queueId, and about 100 ns for each minute. The handler starts no goroutine and keeps
// nothing.
package graphqlapi
