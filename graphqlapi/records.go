package graphqlapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/inproq/inproq"
)

const (
	// maxMinutes bounds the minutes of queues that a query looks at.
	maxMinutes = 2_000_000
	// fillFor is how far back minutes in which nothing happened are filled in.
	fillFor = 24 * time.Hour
	// checkEvery is after how many records or groups it is looked whether the caller waits.
	checkEvery = 256
)

// queueMinutes are the minutes of a queue.
type queueMinutes struct {
	queue   string
	now     time.Time
	minutes []inproq.Minute
}

// each calls yield for each record of a dataset that a filter lets through.
func (h *handler) each(ctx context.Context, q *query, d *dataset, where *condition, yield func(*record)) error {
	looked := 0
	for queue, err := range h.broker.Queues(ctx) {
		if err == nil {
			err = ctx.Err() // a store in memory does not look at it
		}
		if err != nil {
			return err
		}
		if where.excludesQueue(queue.ID) {
			continue
		}
		minutes, err := h.broker.Minutes(ctx, queue.Name)
		if errors.Is(err, inproq.ErrQueueNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("graphqlapi: minutes of queue %q: %w", queue.Name, err)
		}
		x := &queueMinutes{queue: queue.ID, now: time.Now(), minutes: minutes}
		x.fill()
		if q.minutes += len(x.minutes); q.minutes > maxMinutes {
			return gqlerror.Errorf("the query has to look at more than %d minutes of queues: filter by queueId", maxMinutes)
		}
		var gone error
		d.records(x, func(r *record) {
			if looked++; looked%checkEvery == 0 && gone == nil {
				gone = ctx.Err()
			}
			if gone == nil && where.holds(r) {
				yield(r)
			}
		})
		if gone != nil {
			return gone
		}
	}
	return nil
}

// fill puts the minutes in between in which nothing happened: the backlog was what it had
// been before.
func (x *queueMinutes) fill() {
	filled := make([]inproq.Minute, 0, len(x.minutes))
	oldest := x.now.Add(-fillFor)
	for i := range x.minutes {
		m := x.minutes[i]
		if n := len(filled); n > 0 {
			last := filled[n-1]
			if m.Backlog.Samples == 0 {
				m.Backlog = last.Backlog
				m.Backlog.Samples = min(last.Backlog.Samples, 1)
			}
			idle := inproq.Minute{Backlog: last.Backlog}
			idle.Backlog.Samples = min(last.Backlog.Samples, 1)
			idle.Start = last.Start.Add(time.Minute)
			if idle.Start.Before(oldest) {
				idle.Start = oldest.Truncate(time.Minute).Add(time.Minute)
			}
			for ; idle.Start.Before(m.Start); idle.Start = idle.Start.Add(time.Minute) {
				filled = append(filled, idle)
			}
		}
		filled = append(filled, m)
	}
	x.minutes = filled
}

// at begins a record of a minute.
func (x *queueMinutes) at(m *inproq.Minute) record {
	over := min(x.now.Sub(m.Start), time.Minute)
	// Whole ones, so that averages of whole numbers come out as such.
	return record{queue: x.queue, at: m.Start, seconds: max(math.Ceil(over.Seconds()), 1)}
}

// backlogRecords are the averages of a minute, each weighing as much as there is of it.
func backlogRecords(x *queueMinutes, yield func(*record)) {
	for i := range x.minutes {
		m := &x.minutes[i]
		if m.Backlog.Samples == 0 {
			continue // not known
		}
		r := x.at(m)
		r.count = float64(m.Backlog.Samples)
		r.average(backlogMessages, m.Backlog.Messages*r.seconds, r.seconds)
		r.average(backlogBytes, m.Backlog.Bytes*r.seconds, r.seconds)
		yield(&r)
	}
}

// concurrencyRecords are the time of handlers by the time that has passed.
func concurrencyRecords(x *queueMinutes, yield func(*record)) {
	for i := range x.minutes {
		m := &x.minutes[i]
		r := x.at(m)
		r.count = 1
		r.average(concurrency, m.Busy.Seconds(), r.seconds)
		yield(&r)
	}
}

// consumerTypes are those of consumers, as Cloudflare calls them here.
var consumerTypes = map[inproq.ConsumerKind]string{inproq.Worker: "worker", inproq.HTTPPull: "http"}

func operationRecords(x *queueMinutes, yield func(*record)) {
	for i := range x.minutes {
		m := &x.minutes[i]
		for k := range m.Operations {
			o := &m.Operations[k]
			r := x.at(m)
			r.action, r.consumer, r.outcome = o.Action, consumerTypes[o.Consumer], o.Outcome
			r.count = float64(o.Count)
			r.sums[billable], r.sums[opBytes] = float64(o.Billable), float64(o.Bytes)
			if o.Consumer != "" { // else they are not known
				r.average(lagTime, float64(o.Lag)/float64(time.Millisecond), r.count)
				r.average(retryCount, float64(o.Retries), r.count)
				r.sums[messageSize] = float64(o.Largest)
			}
			yield(&r)
		}
	}
}

func (r *record) average(measure int, sum, weight float64) {
	r.sums[measure], r.weights[measure] = sum, weight
}
