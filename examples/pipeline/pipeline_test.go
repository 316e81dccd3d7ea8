package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// put uploads without a network.
func put(p *pipeline, name, text string) (int, string) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/documents/"+name, strings.NewReader(text)))
	return w.Code, w.Body.String()
}

func TestSecondDeliveryChangesNothing(t *testing.T) {
	p := newTestPipeline(t)
	for range 2 {
		batch := queuetest.NewBatch("documents", document(1, "a", "One sentence. Two."), document(2, "b", "Another one."))
		r := queuetest.Deliver(t.Context(), p.summarise, batch)
		require.NoError(t, r.Err)
		assert.Len(t, r.Acked(), 2)
		rows := p.saved(t)
		require.Len(t, rows, 2)
		assert.Equal(t, inproq.MessageID{15: 1}, rows[0].id)
		assert.Equal(t, "One sentence.", rows[0].summary.first)
	}
}

func TestBadDocumentDoesNotKeepTheOthers(t *testing.T) {
	p := newTestPipeline(t)
	r := queuetest.Deliver(t.Context(), p.summarise, queuetest.NewBatch("documents", document(1, "blank", " "), document(2, "good", "Words.")))
	require.NoError(t, r.Err)
	queuetest.AssertRetried(t, r, document(1, "blank", " ").Body)
	assert.ErrorIs(t, r.Fates[0].Cause, errNoWords)
	rows := p.saved(t)
	require.Len(t, rows, 1)
	assert.Equal(t, "good", rows[0].name)
}

func TestBatchIsRetriedWhenTheDatabaseFails(t *testing.T) {
	p := newTestPipeline(t)
	_, err := p.db.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE INSERT ON documents WHEN NEW.name = 'second' BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	require.NoError(t, err)
	r := queuetest.Deliver(t.Context(), p.summarise, queuetest.NewBatch("documents", document(1, "first", "Words."), document(2, "second", "Words.")))
	assert.ErrorContains(t, r.Err, "disk full")
	assert.Len(t, r.Retried(), 2)
	assert.Empty(t, p.saved(t), "all or none")
}

func TestSummaryBeatsFailure(t *testing.T) {
	dead := func(p *pipeline) {
		letter := inproq.Message[json.RawMessage]{ID: inproq.MessageID{15: 1}, Body: json.RawMessage(`{"name":"a"}`)}
		require.NoError(t, queuetest.Deliver(t.Context(), inproq.Each(p.recordFailure), queuetest.NewBatch("failed-documents", letter)).Err)
	}
	alive := func(p *pipeline) {
		require.NoError(t, queuetest.Deliver(t.Context(), p.summarise, queuetest.NewBatch("documents", document(1, "a", "Words."))).Err)
	}
	for name, steps := range map[string][]func(*pipeline){
		"summary first": {alive, dead, dead},
		"failure first": {dead, dead, alive},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestPipeline(t)
			for _, step := range steps {
				step(p)
			}
			rows := p.saved(t)
			require.Len(t, rows, 1)
			assert.Empty(t, rows[0].failure)
			assert.Equal(t, "Words.", rows[0].summary.first)
		})
	}
}

// A body that is no document is a failure too, although nobody knows its name.
func TestUndecodableMessageIsRecorded(t *testing.T) {
	p := newTestPipeline(t)
	raw, err := inproq.Bind[json.RawMessage](t.Context(), p.broker, "documents")
	require.NoError(t, err)
	sent, err := raw.Send(t.Context(), json.RawMessage(`"a text"`))
	require.NoError(t, err)
	require.NoError(t, p.serve(t.Context(), func(*httptest.Server) error { return nil }))
	rows := p.saved(t)
	require.Len(t, rows, 1)
	assert.Equal(t, sent.ID, rows[0].id)
	assert.Empty(t, rows[0].name)
	assert.Contains(t, rows[0].failure, "cannot unmarshal string")
}

func TestWhatWasAcceptedIsInTheDatabase(t *testing.T) {
	p := newTestPipeline(t)
	require.NoError(t, p.serve(t.Context(), func(*httptest.Server) error {
		for i := range 50 {
			code, body := put(p, fmt.Sprintf("%02d.txt", i), strings.Repeat("word ", i))
			assert.Equal(t, http.StatusAccepted, code)
			assert.Contains(t, body, `"id"`)
		}
		return nil
	}))
	rows := p.saved(t)
	require.Len(t, rows, 50)
	for i, r := range rows {
		assert.Equal(t, fmt.Sprintf("%02d.txt", i), r.name)
		assert.Equal(t, i, r.summary.words)
		assert.Equal(t, i == 0, r.failure != "")
	}
	code, body := put(p, "late.txt", "too late")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Contains(t, body, inproq.ErrBrokerClosed.Error())
}

func TestLargeUploads(t *testing.T) {
	p := newTestPipeline(t)
	for name, tc := range map[string]struct {
		text string
		code int
	}{
		"as large as allowed":  {strings.Repeat("x", maxUpload-len(`{"name":"a","text":""}`)), http.StatusAccepted},
		"too large a message":  {strings.Repeat("x", maxUpload-len(`{"name":"a","text":""}`)+1), http.StatusRequestEntityTooLarge},
		"larger than is read":  {strings.Repeat("x", maxUpload+1), http.StatusRequestEntityTooLarge},
		"too large when coded": {strings.Repeat("\n", maxUpload/2+1), http.StatusRequestEntityTooLarge},
	} {
		code, body := put(p, "a", tc.text)
		assert.Equal(t, tc.code, code, "%s: %s", name, body)
	}
	require.NoError(t, p.broker.Shutdown(t.Context()))
}
