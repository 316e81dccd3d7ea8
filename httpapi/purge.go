package httpapi

import (
	"net/http"
	"time"

	"github.com/inproq/inproq"
)

func (a *api) purgeRoutes() []route {
	return []route{
		{"POST", queuePath + "/purge", QueuesWrite, a.purgeQueue},
		{"GET", queuePath + "/purge", QueuesRead, a.purgeStatus},
	}
}

// purgedAt is the annotation of a queue with the time of its last purge: the status of
// one is asked for later, perhaps of another process.
const purgedAt = "httpapi.purge_started_at"

// purgeRequest decodes the consent, without which nothing is deleted.
func purgeRequest(raw []byte) error {
	var d decoder
	o := d.body(raw, "delete_messages_permanently")
	if consent := o.flag("delete_messages_permanently"); !isTrue(consent) {
		d.fail(codeInvalid, o.place("delete_messages_permanently"), "delete_messages_permanently should be true")
	}
	return d.err
}

func (a *api) purgeQueue(r *http.Request) (any, error) {
	q, err := a.queue(r)
	if err != nil {
		return nil, err
	}
	raw, err := readBody(r)
	if err == nil {
		err = purgeRequest(raw)
	}
	if err != nil {
		return nil, err
	}
	started := time.Now().UTC().Format(time.RFC3339Nano)
	if err := a.broker.Purge(r.Context(), q.Name); err != nil {
		return nil, err
	}
	// Afterwards, so that the status tells of no purge that has deleted nothing.
	q, err = a.broker.UpdateQueue(r.Context(), q.Name, inproq.QueueUpdate{
		Annotations: map[string]*string{purgedAt: &started},
	})
	return queueOnWire(&q), err
}

// wirePurge is the status of a purge, complete by the time that anybody asks. The SDK
// has completed, a string, and wrangler complete, a boolean.
type wirePurge struct {
	StartedAt string `json:"started_at,omitempty"` // "": there was none
	Completed string `json:"completed"`
	Complete  bool   `json:"complete"`
}

func (a *api) purgeStatus(r *http.Request) (any, error) {
	q, err := a.queue(r)
	return wirePurge{q.Annotations[purgedAt], "true", true}, err
}
