package graphqlapi

import (
	"time"

	"github.com/inproq/inproq"
)

// A record is what one minute says of one queue: of the queue as a whole, or of one kind
// of operations.
type record struct {
	queue   string // its id
	at      time.Time
	seconds float64 // of the minute that are over

	action   inproq.Action
	consumer string
	outcome  inproq.Outcome

	count   float64
	sums    [measures]float64
	weights [measures]float64 // what an average divides by; zero: it does not count
}

// The measures of all datasets. What they are in a record depends on how they are
// aggregated: the value, or for averages the value times the weight.
const (
	backlogMessages = iota
	backlogBytes
	concurrency
	billable
	opBytes
	lagTime
	retryCount
	messageSize
	measures
)

// A dataset says what can be selected.
type dataset struct {
	dimensions map[string]dimension      // by name
	fields     map[string]map[string]int // aggregation, field: the measure
	records    func(q *queueMinutes, yield func(*record))
}

// A dimension is something that records are filtered and grouped by.
type dimension struct {
	of    func(*record) string
	kind  kind
	floor func(time.Time) time.Time // of times
}

// kind is the type of a dimension.
type kind uint8

const (
	text kind = iota
	moment
	day
)

// timeFormat and dayFormat are those of results. They sort as texts do.
const (
	timeFormat = "2006-01-02T15:04:05Z"
	dayFormat  = time.DateOnly
)

func byTime(d time.Duration) dimension {
	floor := func(t time.Time) time.Time { return t.Truncate(d) }
	return dimension{kind: moment, floor: floor, of: func(r *record) string { return floor(r.at).Format(timeFormat) }}
}

func byText(of func(*record) string) dimension { return dimension{of: of} }

// timesAndQueue are the dimensions that all have.
func timesAndQueue() map[string]dimension {
	queue := byText(func(r *record) string { return r.queue })
	floor := func(t time.Time) time.Time { return t.Truncate(24 * time.Hour) }
	return map[string]dimension{
		"queueId":                queue,
		"queueID":                queue, // as the documentation has it in its tables
		"date":                   {kind: day, floor: floor, of: func(r *record) string { return r.at.Format(dayFormat) }},
		"datetime":               byTime(time.Minute),
		"datetimeMinute":         byTime(time.Minute),
		"datetimeFiveMinutes":    byTime(5 * time.Minute),
		"datetimeFifteenMinutes": byTime(15 * time.Minute),
		"datetimeHour":           byTime(time.Hour),
	}
}

// datasets are those that there are, by name.
var datasets = func() map[string]*dataset {
	backlog := &dataset{
		dimensions: timesAndQueue(), records: backlogRecords,
		fields: map[string]map[string]int{"avg": {"messages": backlogMessages, "bytes": backlogBytes}},
	}
	operations := &dataset{
		dimensions: timesAndQueue(), records: operationRecords,
		fields: map[string]map[string]int{
			"sum": {"billableOperations": billable, "bytes": opBytes},
			"avg": {"lagTime": lagTime, "retryCount": retryCount},
			"max": {"messageSize": messageSize},
		},
	}
	operations.dimensions["actionType"] = byText(func(r *record) string { return string(r.action) })
	operations.dimensions["consumerType"] = byText(func(r *record) string { return r.consumer })
	operations.dimensions["outcome"] = byText(func(r *record) string { return string(r.outcome) })
	return map[string]*dataset{
		"queuesBacklogAdaptiveGroups": backlog,
		"queueBacklogAdaptiveGroups":  backlog, // as the documentation has it in its example
		"queueConsumerMetricsAdaptiveGroups": {
			dimensions: timesAndQueue(), records: concurrencyRecords,
			fields: map[string]map[string]int{"avg": {"concurrency": concurrency}},
		},
		"queueMessageOperationsAdaptiveGroups": operations,
	}
}()
