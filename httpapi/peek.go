package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/inproq/inproq"
)

func (a *api) peekRoutes() []route {
	return []route{
		{"POST", messagesPath + "/peek", QueuesRead, a.peek},
		{"POST", messagesPath + "/purge", QueuesWrite, a.purgeMessages},
	}
}

const (
	defaultPeek = 5
	mostPeeked  = 100
	mostRefs    = 1000
)

// peekRequest decodes how many messages a peek wants to see.
func peekRequest(raw []byte) (limit int, err error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return defaultPeek, nil
	}
	var d decoder
	limit = defaultPeek
	if n := d.body(raw, "batch_size").count("batch_size", codeInvalid, 1, mostPeeked); n != nil {
		limit = *n
	}
	return limit, d.err
}

// wirePeek is the result of a peek.
type wirePeek struct {
	Messages []wireMessage `json:"messages"`
}

func (a *api) peek(r *http.Request) (any, error) {
	q, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	limit, err := peekRequest(raw)
	if err != nil {
		return nil, err
	}
	peeked, err := a.broker.Peek(r.Context(), q.Name, limit)
	if err != nil {
		return nil, err
	}
	peeked = peeked[:fitting(peeked)]
	res := wirePeek{make([]wireMessage, len(peeked))}
	for i := range peeked {
		m := &peeked[i]
		res.Messages[i] = wireMessage{
			ID: m.ID, Body: bodyOnWire(m.Body, m.ContentType), TimestampMS: m.Timestamp.UnixMilli(), Attempts: m.Attempts,
			Ref: m.Ref, Metadata: metadataOnWire(m.Headers, m.ContentType),
		}
	}
	return res, nil
}

// fitting returns how many messages, from the first, go into one reply: of peeked ones the
// rest stays where it is.
func fitting(msgs []inproq.PeekedMessage) int {
	total := 0
	for i := range msgs {
		if total += len(msgs[i].Body); total > mostReply && i > 0 {
			return i
		}
	}
	return len(msgs)
}

// refsRequest decodes which messages are to be deleted.
func refsRequest(raw []byte) (refs []string, err error) {
	var d decoder
	o := d.body(raw, "refs")
	o.require(codeInvalid, "refs")
	o.list("refs", mostRefs, func(element json.RawMessage, at string) {
		x := d.object(element, at, "ref")
		x.require(codeInvalid, "ref")
		refs = append(refs, x.text("ref"))
	})
	return refs, d.err
}

// wirePurged is the result of a purge by references. Errors stay empty: one of the store
// fails the whole request.
type wirePurged struct {
	Errors   []failure         `json:"errors"`
	Warnings map[string]string `json:"warnings"` // by reference
}

func (a *api) purgeMessages(r *http.Request) (any, error) {
	q, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	refs, err := refsRequest(raw)
	if err != nil {
		return nil, err
	}
	warnings, err := a.broker.PurgeMessages(r.Context(), q.Name, refs)
	return wirePurged{[]failure{}, notNil(warnings)}, err
}
