package httpapi

import (
	"net/http"
	"slices"
)

// A route is one endpoint. The mux and the test of who may do what are both made of
// the same table, so that a route cannot have one without the other.
type route struct {
	method  string
	pattern string     // of http.ServeMux, from the segment after /client/v4
	need    Permission // what a token must permit; zero: nothing but that it is valid
	do      action
}

// An action carries a request out. It returns what goes into the envelope's result, a
// page for a list that has result_info, or an error, which becomes a failure. The
// body of the request is bounded when it is called.
type action func(*http.Request) (any, error)

// The roots of all paths of an account.
const (
	accountPath      = "/accounts/{account_id}"
	queuesPath       = accountPath + "/queues"
	queuePath        = queuesPath + "/{queue_id}"
	messagesPath     = queuePath + "/messages"
	consumersPath    = queuePath + "/consumers"
	consumerPath     = consumersPath + "/{consumer_id}"
	subscriptionPath = accountPath + "/event_subscriptions/subscriptions"
)

// routes returns the table.
func (a *api) routes() []route {
	return slices.Concat(
		a.queueRoutes(),
		a.purgeRoutes(),
		a.consumerRoutes(),
		a.messageRoutes(),
		a.pullRoutes(),
		a.peekRoutes(),
		a.subscriptionRoutes(),
		a.workerRoutes(),
		a.identityRoutes(),
	)
}
