package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/inproq/inproq"
)

func (a *api) queueRoutes() []route {
	return []route{
		{"GET", queuesPath, QueuesRead, a.listQueues},
		{"POST", queuesPath, QueuesWrite, a.createQueue},
		{"GET", queuePath, QueuesRead, a.getQueue},
		{"PATCH", queuePath, QueuesWrite, a.editQueue},
		{"PUT", queuePath, QueuesWrite, a.updateQueue},
		{"DELETE", queuePath, QueuesWrite, a.deleteQueue},
		{"GET", queuePath + "/metrics", QueuesRead, a.queueMetrics},
	}
}

// queue returns the queue that a request's path names. Names are remembered by id, for
// the broker finds a queue faster by its name; a name that was taken anew has another id.
func (a *api) queue(r *http.Request) (inproq.QueueInfo, error) {
	id := r.PathValue("queue_id")
	if isDataPlane(r) && !isAlphanumeric(id) {
		return inproq.QueueInfo{}, invalid(codeQueueID, "", "the queue's id is malformed: it has letters and digits only")
	}
	if name, known := a.names.Load(id); known {
		q, err := a.broker.Queue(r.Context(), name.(string))
		if err == nil && q.ID == id {
			return q, nil
		}
		if err != nil && !errors.Is(err, inproq.ErrQueueNotFound) {
			return q, err
		}
		a.names.Delete(id)
	}
	q, err := a.broker.QueueByID(r.Context(), id)
	if err == nil {
		a.names.Store(id, q.Name)
	}
	return q, err
}

func (a *api) getQueue(r *http.Request) (any, error) {
	q, err := a.queue(r)
	return queueOnWire(&q), err
}

// listQueues lists all queues, or those with exactly the names that are asked for. It is
// cut into pages only for clients that know of pages: the SDK does not ask for a second
// one here.
func (a *api) listQueues(r *http.Request) (any, error) {
	query := r.URL.Query()
	want := make(map[string]bool)
	for _, name := range query["name"] {
		want[name] = true
	}
	all := []inproq.QueueInfo{}
	for q, err := range a.broker.Queues(r.Context()) {
		if err != nil {
			return nil, err
		}
		if len(want) == 0 || want[q.Name] {
			all = append(all, q)
		}
	}
	w, err := window(query, len(all))
	if err != nil {
		return nil, err
	}
	queues := make([]wireQueue, 0, w.info.Count)
	for i := w.from; i < w.from+w.info.Count; i++ {
		queues = append(queues, queueOnWire(&all[i]))
	}
	return page{queues, w.info}, nil
}

// A cut is the part of a list that is on a page.
type cut struct {
	from int
	info resultInfo
}

// pageSize is what a page has when only its number is given.
const pageSize = 100

// window cuts a list of n by the parameters page and per_page. Without them it is one
// page. A page after the last one is empty.
func window(query url.Values, n int) (cut, error) {
	number, err := queryNumber(query, "page", 1)
	if err != nil {
		return cut{}, err
	}
	size := max(n, 1)
	if query.Has("page") || query.Has("per_page") {
		if size, err = queryNumber(query, "per_page", pageSize); err != nil {
			return cut{}, err
		}
	}
	c := cut{info: resultInfo{Page: number, PerPage: size, TotalCount: n, TotalPages: (n + size - 1) / size}}
	if number <= c.info.TotalPages {
		c.from = (number - 1) * size
		c.info.Count = min(size, n-c.from)
	}
	return c, nil
}

// queryNumber returns a parameter of a query.
func queryNumber(query url.Values, key string, def int) (int, error) {
	const most = 1_000_000 // so that no sum overflows
	if !query.Has(key) {
		return def, nil
	}
	n, err := strconv.Atoi(query.Get(key))
	if err != nil || n < 1 || n > most {
		return 0, invalid(codeInvalid, "", "the parameter %s should be a number from 1 to %d", key, most)
	}
	return n, nil
}

// queueRequest is what a body says of a queue.
type queueRequest struct {
	name      string
	delay     *time.Duration
	retention *time.Duration
	paused    *bool
}

// queueRequest decodes it. Whoever sends back a whole queue that was read has fields in
// it that cannot be set: they are accepted, and do nothing.
func (a *api) queueRequest(raw []byte) (q queueRequest, err error) {
	var d decoder
	o := d.body(raw, "queue_name", "settings", "queue_id", "created_on", "modified_on",
		"producers", "producers_total_count", "consumers", "consumers_total_count")
	q.name = o.text("queue_name")
	if settings := o.value("settings"); settings != nil {
		s := d.object(settings, o.place("settings"), "delivery_delay", "delivery_paused", "message_retention_period")
		q.delay = s.duration("delivery_delay", time.Second, codeQueueBad, 0, a.limits.MaxDelay)
		q.retention = s.duration("message_retention_period", time.Second, codeQueueBad, a.limits.MinRetention, a.limits.MaxRetention)
		q.paused = s.flag("delivery_paused")
	}
	return q, d.err
}

func (a *api) readQueueRequest(r *http.Request) (q queueRequest, err error) {
	raw, err := readBody(r)
	if err != nil {
		return q, err
	}
	return a.queueRequest(raw)
}

func (a *api) createQueue(r *http.Request) (any, error) {
	req, err := a.readQueueRequest(r)
	if err != nil {
		return nil, err
	}
	if req.name == "" {
		return nil, invalid(codeQueueName, "/queue_name", "queue_name is required")
	}
	q, err := a.broker.CreateQueue(r.Context(), req.name, inproq.QueueConfig{
		DeliveryDelay:          duration(req.delay),
		MessageRetentionPeriod: duration(req.retention),
	})
	if errors.Is(err, inproq.ErrQueueExists) {
		return nil, invalid(codeNameTaken, "", "Queue name '%s' is already taken. Please use a different name and try again.", req.name)
	}
	if err == nil && isTrue(req.paused) {
		q, err = a.broker.UpdateQueue(r.Context(), q.Name, inproq.QueueUpdate{DeliveryPaused: req.paused})
	}
	return queueOnWire(&q), err
}

// editQueue merges: what a request does not name stays.
func (a *api) editQueue(r *http.Request) (any, error) {
	return a.changeQueue(r, func(req *queueRequest) inproq.QueueUpdate {
		return inproq.QueueUpdate{DeliveryDelay: req.delay, MessageRetentionPeriod: req.retention, DeliveryPaused: req.paused}
	})
}

// updateQueue replaces: what a request does not name gets its default.
func (a *api) updateQueue(r *http.Request) (any, error) {
	return a.changeQueue(r, func(req *queueRequest) inproq.QueueUpdate {
		retention := min(max(defaultRetention, a.limits.MinRetention), a.limits.MaxRetention)
		return inproq.QueueUpdate{
			DeliveryDelay:          cmp.Or(req.delay, new(time.Duration(0))),
			MessageRetentionPeriod: cmp.Or(req.retention, &retention),
			DeliveryPaused:         cmp.Or(req.paused, new(false)),
		}
	})
}

// defaultRetention is the broker's.
const defaultRetention = 4 * 24 * time.Hour

func (a *api) changeQueue(r *http.Request, update func(*queueRequest) inproq.QueueUpdate) (any, error) {
	q, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	req, err := a.queueRequest(raw)
	if err != nil {
		return nil, err
	}
	if req.name != "" && req.name != q.Name {
		return nil, invalid(codeQueueBad, "/queue_name", "queue_name cannot be changed")
	}
	for {
		// The broker changes by name, and by the revision only what has this id. When
		// somebody else has changed it, this request still means the same.
		u := update(&req)
		u.IfRevision = q.Revision
		changed, err := a.broker.UpdateQueue(r.Context(), q.Name, u)
		if !errors.Is(err, inproq.ErrConflict) || r.Context().Err() != nil {
			return queueOnWire(&changed), err
		}
		if q, err = a.queue(r); err != nil {
			return nil, err
		}
	}
}

// deleteQueue deletes by the name that the id has just now, as the store says. Between the
// two another queue can take the name, and is then deleted: a broker has no other deletion.
func (a *api) deleteQueue(r *http.Request) (any, error) {
	q, err := a.queue(r)
	if err != nil {
		return nil, err
	}
	if err := a.broker.DeleteQueue(r.Context(), q.Name); err != nil {
		return nil, err
	}
	a.names.Delete(q.ID)
	return nil, nil
}

func (a *api) queueMetrics(r *http.Request) (any, error) {
	q, err := a.queue(r)
	if err != nil {
		return nil, err
	}
	return a.metrics(r.Context(), q.Name)
}

func (a *api) metrics(ctx context.Context, name string) (wireMetrics, error) {
	m, err := a.broker.Metrics(ctx, name)
	return metricsOnWire(m), err
}

// isAlphanumeric is what Cloudflare asks of a queue's id.
func isAlphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return s != ""
}
