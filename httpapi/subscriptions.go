package httpapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/inproq/inproq/eventsub"
)

func (a *api) subscriptionRoutes() []route {
	one := subscriptionPath + "/{subscription_id}"
	return []route{
		{"GET", subscriptionPath, QueuesRead, a.listSubscriptions},
		{"POST", subscriptionPath, QueuesWrite, a.createSubscription},
		{"GET", one, QueuesRead, a.getSubscription},
		{"PATCH", one, QueuesWrite, a.editSubscription},
		{"DELETE", one, QueuesWrite, a.deleteSubscription},
	}
}

// wireSubscription is a subscription as clients see it.
type wireSubscription struct {
	ID          string          `json:"id"`
	CreatedAt   string          `json:"created_at"`
	ModifiedAt  string          `json:"modified_at"`
	Name        string          `json:"name"`
	Enabled     bool            `json:"enabled"`
	Source      eventsub.Source `json:"source"`
	Destination wireDestination `json:"destination"`
	Events      []string        `json:"events"`
}

type wireDestination struct {
	Type    string `json:"type"`
	QueueID string `json:"queue_id"`
}

// destinationType is the only type of destinations that there is.
const destinationType = "queues.queue"

func subscriptionOnWire(s *eventsub.Subscription) wireSubscription {
	return wireSubscription{
		ID: s.ID, CreatedAt: s.CreatedAt.Format(time.RFC3339Nano), ModifiedAt: s.ModifiedAt.Format(time.RFC3339Nano),
		Name: s.Name, Enabled: s.Enabled, Source: s.Source,
		Destination: wireDestination{destinationType, s.QueueID}, Events: s.Events,
	}
}

// subscriptionResult is what a route returns for a subscription.
func subscriptionResult(s eventsub.Subscription, err error) (any, error) {
	return subscriptionOnWire(&s), subscriptionFailure(err)
}

// subscriptionFailure gives errors about subscriptions the texts and statuses of
// Cloudflare's, which have no numbers.
func subscriptionFailure(err error) error {
	var status, code int
	switch {
	case errors.Is(err, eventsub.ErrNotFound):
		return &failure{Message: "No subscription with this ID", status: http.StatusNotFound}
	case errors.Is(err, eventsub.ErrExists):
		status = http.StatusMethodNotAllowed
	case errors.Is(err, eventsub.ErrUnknownEvents), errors.Is(err, eventsub.ErrUnknownSource):
		status = http.StatusBadRequest
	case errors.Is(err, eventsub.ErrInvalid):
		status, code = http.StatusBadRequest, codeInvalid
	default:
		return err
	}
	text := strings.TrimPrefix(err.Error(), "eventsub: ")
	first, size := utf8.DecodeRuneInString(text)
	return &failure{Code: code, Message: string(unicode.ToUpper(first)) + text[size:], status: status}
}

// subscriptionRequest is what a body says of a subscription.
type subscriptionRequest struct {
	name    *string
	enabled *bool
	source  *eventsub.Source
	queueID *string
	events  []string // nil: absent
}

// subscriptionRequest decodes it. Whoever sends back a whole subscription that was read
// has fields in it that cannot be set: they are accepted, and do nothing.
func (a *api) subscriptionRequest(raw []byte) (s subscriptionRequest, err error) {
	var d decoder
	o := d.body(raw, "name", "enabled", "source", "destination", "events", "id", "created_at", "modified_at")
	if o.value("name") != nil {
		s.name = new(o.text("name"))
	}
	s.enabled = o.flag("enabled")
	if v := o.value("source"); v != nil {
		s.source = a.sourceRequest(&d, v, o.place("source"))
	}
	if v := o.value("destination"); v != nil {
		to := d.object(v, o.place("destination"), "type", "queue_id")
		to.require(codeInvalid, "queue_id")
		if t := to.text("type"); t != "" && t != destinationType {
			d.fail(codeInvalid, to.place("type"), "the type of a destination is %s", destinationType)
		}
		s.queueID = new(to.text("queue_id"))
	}
	const most = 100
	if o.value("events") != nil {
		s.events = []string{}
	}
	o.list("events", most, func(element json.RawMessage, at string) {
		var e string
		if !unquote(element, &e) {
			d.wrongType(element, at, "a string", nil)
		}
		s.events = append(s.events, e)
	})
	return s, d.err
}

// sourceRequest decodes a source: its type, and the arguments that any type has.
func (a *api) sourceRequest(d *decoder, raw []byte, at string) *eventsub.Source {
	keys := []string{"type"}
	for _, t := range a.subscriptions.SourceTypes() {
		for _, arg := range t.Args {
			if !slices.Contains(keys, arg.Name) {
				keys = append(keys, arg.Name)
			}
		}
	}
	o := d.object(raw, at, keys...)
	o.require(codeInvalid, "type")
	s := &eventsub.Source{Type: o.text("type")}
	for _, key := range keys[1:] {
		if o.value(key) == nil {
			continue
		}
		if s.Args == nil {
			s.Args = make(map[string]string)
		}
		s.Args[key] = o.text(key)
	}
	return s
}

func (a *api) readSubscriptionRequest(r *http.Request, required ...string) (s subscriptionRequest, err error) {
	raw, err := readBody(r)
	if err == nil {
		s, err = a.subscriptionRequest(raw)
	}
	if err != nil {
		return s, err
	}
	missing := map[string]bool{"source": s.source == nil, "destination": s.queueID == nil, "events": s.events == nil}
	for _, key := range required {
		if missing[key] {
			return s, invalid(codeInvalid, "/"+key, "%s is required", key)
		}
	}
	return s, nil
}

func (a *api) createSubscription(r *http.Request) (any, error) {
	req, err := a.readSubscriptionRequest(r, "source", "destination", "events")
	if err != nil {
		return nil, err
	}
	q, err := a.broker.QueueByID(r.Context(), *req.queueID)
	if err != nil {
		return nil, err
	}
	return subscriptionResult(a.subscriptions.Create(r.Context(), eventsub.Spec{
		Name: *cmp.Or(req.name, new("")), Disabled: req.enabled != nil && !*req.enabled,
		Source: *req.source, Queue: q.Name, Events: req.events,
	}))
}

func (a *api) getSubscription(r *http.Request) (any, error) {
	return subscriptionResult(a.subscriptions.Get(r.Context(), r.PathValue("subscription_id")))
}

func (a *api) editSubscription(r *http.Request) (any, error) {
	id := r.PathValue("subscription_id")
	req, err := a.readSubscriptionRequest(r)
	if err != nil {
		return nil, err
	}
	if req.source != nil {
		was, err := a.subscriptions.Get(r.Context(), id)
		if err != nil {
			return nil, subscriptionFailure(err)
		}
		if !was.Source.Equal(*req.source) {
			return nil, invalid(codeInvalid, "/source", "the source of a subscription cannot be changed")
		}
	}
	u := eventsub.Update{Name: req.name, Enabled: req.enabled, Events: req.events}
	if req.queueID != nil {
		q, err := a.broker.QueueByID(r.Context(), *req.queueID)
		if err != nil {
			return nil, err
		}
		u.Queue = &q.Name
	}
	return subscriptionResult(a.subscriptions.Update(r.Context(), id, u))
}

func (a *api) deleteSubscription(r *http.Request) (any, error) {
	return subscriptionResult(a.subscriptions.Delete(r.Context(), r.PathValue("subscription_id")))
}

// subscriptionsPerPage is what a page of subscriptions has unless the request says.
const subscriptionsPerPage = 20

// listSubscriptions lists them all, or those of one queue. It is always cut into pages,
// and a page after the last one is empty: so clients notice the end.
func (a *api) listSubscriptions(r *http.Request) (any, error) {
	query := r.URL.Query()
	for key, def := range map[string]int{"page": 1, "per_page": subscriptionsPerPage} {
		if !query.Has(key) {
			query.Set(key, strconv.Itoa(def))
		}
	}
	compare, err := subscriptionOrder(query)
	if err != nil {
		return nil, err
	}
	all, err := a.subscriptions.List(r.Context())
	if err != nil {
		return nil, err
	}
	if query.Has("queue_id") {
		all = slices.DeleteFunc(all, func(s eventsub.Subscription) bool { return s.QueueID != query.Get("queue_id") })
	}
	slices.SortStableFunc(all, compare)
	w, err := window(query, len(all))
	if err != nil {
		return nil, err
	}
	list := make([]wireSubscription, 0, w.info.Count)
	for i := w.from; i < w.from+w.info.Count; i++ {
		list = append(list, subscriptionOnWire(&all[i]))
	}
	return page{list, w.info}, nil
}

// subscriptionOrder returns the order that a query asks for by order and direction. What
// is equal by it stays in the order of creation.
func subscriptionOrder(query url.Values) (func(a, b eventsub.Subscription) int, error) {
	number := map[bool]int{true: 1}
	orders := map[string]func(a, b eventsub.Subscription) int{
		"created_at": func(a, b eventsub.Subscription) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"name":       func(a, b eventsub.Subscription) int { return cmp.Compare(a.Name, b.Name) },
		"enabled":    func(a, b eventsub.Subscription) int { return cmp.Compare(number[a.Enabled], number[b.Enabled]) },
		"source":     func(a, b eventsub.Subscription) int { return cmp.Compare(a.Source.Type, b.Source.Type) },
	}
	order := orders[cmp.Or(query.Get("order"), "created_at")]
	if order == nil {
		return nil, invalid(codeInvalid, "", "the parameter order should be created_at, name, enabled or source")
	}
	switch query.Get("direction") {
	case "", "asc":
		return order, nil
	case "desc":
		return func(a, b eventsub.Subscription) int { return order(b, a) }, nil
	}
	return nil, invalid(codeInvalid, "", "the parameter direction should be asc or desc")
}
