package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/inproq/inproq"
)

// A Document is what the queue holds.
type Document struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// A pipeline is the HTTP side and the consumers.
type pipeline struct {
	http.ServeMux
	broker    *inproq.Broker
	documents inproq.Producer[Document]
	db        *database
}

// newPipeline wires queues, consumers and the route. It starts nothing.
func newPipeline(ctx context.Context, db *database) (*pipeline, error) {
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return nil, err
	}
	documents, err := inproq.Declare[Document](ctx, broker, "documents", inproq.QueueConfig{})
	if err != nil {
		return nil, err
	}
	// Raw, so that a body that is no Document has a consumer too.
	failed, err := inproq.Declare[json.RawMessage](ctx, broker, "failed-documents", inproq.QueueConfig{})
	if err != nil {
		return nil, err
	}
	p := &pipeline{broker: broker, documents: documents, db: db}
	if _, err := documents.Consume(p.summarise, inproq.ConsumerConfig{MaxRetries: 2, DeadLetterQueue: failed.Name()}); err != nil {
		return nil, err
	}
	if _, err := failed.Consume(inproq.Each(p.recordFailure), inproq.ConsumerConfig{}); err != nil {
		return nil, err
	}
	p.HandleFunc("PUT /documents/{name}", p.upload)
	return p, nil
}

const maxUpload = 128_000 // bytes, as a message; JSON may need more for it

// upload answers when the queue has the document.
func (p *pipeline) upload(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		refuse(w, err)
		return
	}
	sent, err := p.documents.Send(r.Context(), Document{Name: r.PathValue("name"), Text: string(text)})
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]string{"id": sent.ID.String()}) // the client has gone: nobody to tell
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	if _, tooMuch := errors.AsType[*http.MaxBytesError](err); tooMuch || errors.Is(err, inproq.ErrMessageTooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, err.Error(), status)
}

// summarise is the handler of the documents. It writes a batch in one transaction:
// if that fails, its error retries all messages but those that have been retried
// already, each for a reason of its own.
func (p *pipeline) summarise(ctx context.Context, batch *inproq.MessageBatch[Document]) error {
	var rows []row
	for _, m := range batch.Messages {
		s, err := summarise(m.Body.Text)
		if err != nil {
			m.Retry(inproq.Cause(err)) // when no attempts are left it is a dead letter
			continue
		}
		rows = append(rows, row{id: m.ID, name: m.Body.Name, summary: s})
	}
	return p.db.saveSummaries(ctx, rows)
}

// recordFailure is the handler of the dead letters.
func (p *pipeline) recordFailure(ctx context.Context, m *inproq.Message[json.RawMessage]) error {
	letter, _ := m.DeadLetter()
	r := row{id: m.ID, failure: cmp.Or(letter.Error, string(letter.Reason), "unknown")}
	var d Document
	if json.Unmarshal(m.Body, &d) == nil { // without a name, if it is no Document
		r.name = d.Name
	}
	return p.db.saveFailure(ctx, r)
}
