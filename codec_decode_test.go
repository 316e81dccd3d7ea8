package inproq_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

type codecUnmarshalPanics struct{ N int }

func (*codecUnmarshalPanics) UnmarshalJSON(b []byte) error {
	if string(b) != "null" {
		panic("boom")
	}
	return nil
}

// codecUndecodable puts a body into the store, between two that decode into T, and
// checks that the handler gets those two alone, and a dead letter tells why.
func codecUndecodable[T any](t *testing.T, good store.Message, bad store.Message, text string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		b := sendBroker(t, inproq.Config{Store: st})
		_, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
		require.NoError(t, err)
		first, last := good, good
		first.ID, bad.ID, last.ID = store.ID{1}, store.ID{2}, store.ID{3}
		_, err = st.Enqueue(t.Context(), "q", []store.Message{first, bad, last})
		require.NoError(t, err)
		q, err := inproq.Bind[T](t.Context(), b, "q")
		require.NoError(t, err)
		var sink sendSink[T]
		_, err = q.Consume(sink.handle, inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead",
		})
		require.NoError(t, err)
		dead := sendQueue[[]byte](t, b, "dead", inproq.QueueConfig{})
		var letters sendSink[[]byte]
		_, err = dead.Consume(letters.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		synctest.Wait()

		got := sink.messages()
		require.Len(t, got, 2)
		assert.Equal(t, inproq.MessageID{1}, got[0].ID)
		assert.Equal(t, inproq.MessageID{3}, got[1].ID)
		left := letters.messages()
		require.Len(t, left, 1)
		assert.Equal(t, bad.Body, left[0].Body)
		letter, ok := left[0].DeadLetter()
		require.True(t, ok)
		assert.Equal(t, inproq.Undecodable, letter.Reason)
		assert.Contains(t, letter.Error, text)
		assert.Contains(t, letter.Error, `"q"`)
		assert.Contains(t, letter.Error, inproq.MessageID{2}.String())
		assert.EqualValues(t, 1, b.Stats("q").Undecodable)
	})
}

func TestCodecUndecodableMessagesAloneFail(t *testing.T) {
	json := func(body string) store.Message { return store.Message{Body: []byte(body), ContentType: "json"} }
	message := func(ct, body string) store.Message { return store.Message{Body: []byte(body), ContentType: ct} }
	codecUndecodable[codecRecord](t, json(`{"N":1}`), json(`{"N":"x"}`), "json body does not decode")
	codecUndecodable[codecRecord](t, json(`{"N":1}`), json(`{`), "unexpected end")
	codecUndecodable[codecRecord](t, json(`{"N":1}`), message("text", "a"), "codecRecord")
	codecUndecodable[codecRecord](t, json(`{"N":1}`), message("bytes", "a"), "codecRecord")
	codecUndecodable[codecRecord](t, json(`{"N":1}`), message("gob", "a"), "gob body")
	codecUndecodable[codecRecord](t, json(`{"N":1}`), message("v8", "a"), `"v8"`)
	codecUndecodable[codecUnmarshalPanics](t, json(`null`), json(`{}`), "boom")
	codecUndecodable[string](t, message("text", "a"), message("bytes", "a"), `"bytes"`)
	codecUndecodable[string](t, message("text", "a"), json(`1`), "json")
	codecUndecodable[codecBlob](t, message("bytes", "a"), message("text", "a"), `"text"`)
	codecUndecodable[any](t, message("text", "a"), message("v8", "a"), `"v8"`)
	codecUndecodable[error](t, json(`null`), message("text", "a"), "panicked")

	headers := message("text", "a")
	headers.Headers = []byte{1, 200}
	codecUndecodable[string](t, message("text", "a"), headers, "malformed headers")
}
