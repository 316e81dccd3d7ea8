package inproq_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// codecDeliver sends a body to a queue of its type and returns it as a handler of
// type U gets it.
func codecDeliver[T, U any](t *testing.T, body T, ct inproq.ContentType) (got U) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{})
		q := sendQueue[T](t, b, "q", inproq.QueueConfig{})
		_, err := q.Send(t.Context(), body, inproq.ContentAs(ct))
		require.NoError(t, err)
		view, err := inproq.Bind[U](t.Context(), b, "q")
		require.NoError(t, err)
		var sink sendSink[U]
		_, err = view.Consume(sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		synctest.Wait()
		msgs := sink.messages()
		require.Len(t, msgs, 1)
		assert.Equal(t, ct, msgs[0].ContentType)
		got = msgs[0].Body
	})
	return got
}

// codecKeeps checks that a body arrives as it was sent.
func codecKeeps[T any](t *testing.T, ct inproq.ContentType, bodies ...T) {
	t.Helper()
	for _, body := range bodies {
		assert.Equal(t, body, codecDeliver[T, T](t, body, ct))
	}
}

// codecNested has what gob does not mind: nested structs, pointers, maps, times.
type codecNested struct {
	Name  string
	Inner struct{ Counts map[string]int }
	Next  *codecNested
	At    time.Time
	Raw   []byte
}

func TestCodecBodiesArriveAsTheyWereSent(t *testing.T) {
	nested := codecNested{Name: "outer", Next: &codecNested{Name: "inner"}, At: time.Unix(1, 5).UTC(), Raw: []byte{0, 255}}
	nested.Inner.Counts = map[string]int{"a": 1}
	codecKeeps(t, inproq.JSON, nested)
	codecKeeps(t, inproq.Gob, nested)
	codecKeeps(t, inproq.JSON, "", "plain", "<é\x00\u2028>")
	codecKeeps(t, inproq.Text, "", "plain", "<é\x00\u2028>")
	codecKeeps(t, inproq.Gob, "", "plain")
	codecKeeps(t, inproq.Text, codecName("named"))
	codecKeeps(t, inproq.JSON, codecName("named"))
	codecKeeps(t, inproq.Bytes, codecBlob{0, 255})
	codecKeeps(t, inproq.JSON, codecBlob{0, 255})
	codecKeeps(t, inproq.Bytes, []codecByte{0, 255})
	codecKeeps(t, inproq.Bytes, []byte{0, 255})
	codecKeeps(t, inproq.JSON, json.RawMessage(`{"a": [1,  2]}`))
	codecKeeps(t, inproq.Gob, math.Inf(1), -0.5)
	codecKeeps(t, inproq.JSON, new(codecRecord{7}), nil)
}

func TestCodecAnyGetsTextBytesAndParsedJSON(t *testing.T) {
	codecKeeps[any](t, inproq.Text, "a text")
	codecKeeps[any](t, inproq.Bytes, []byte{0, 255})
	codecKeeps[any](t, inproq.JSON, nil, true, 1.5, "a", []any{"x", nil}, map[string]any{"n": 1.0})
	codecKeeps[any](t, inproq.Gob, nil, true, 7, "a", []byte{0, 255})
	assert.Equal(t, map[string]any{"N": 7.0}, codecDeliver[any, any](t, codecRecord{7}, inproq.JSON))
	assert.Equal(t, "named", codecDeliver[any, any](t, codecName("named"), inproq.Text))
	assert.Equal(t, []byte("named"), codecDeliver[any, any](t, codecBlob("named"), inproq.Bytes))
}

// Views look at the body as it is stored, whatever its content type.
func TestCodecViewsAreVerbatim(t *testing.T) {
	assert.Equal(t, []byte(`{"N":7}`), codecDeliver[codecRecord, []byte](t, codecRecord{7}, inproq.JSON))
	assert.Equal(t, json.RawMessage(`{"N":7}`), codecDeliver[codecRecord, json.RawMessage](t, codecRecord{7}, inproq.JSON))
	assert.Equal(t, []byte(`"a"`), codecDeliver[string, []byte](t, "a", inproq.JSON))
	assert.Equal(t, []byte("a"), codecDeliver[string, []byte](t, "a", inproq.Text))
	assert.Equal(t, json.RawMessage("a"), codecDeliver[string, json.RawMessage](t, "a", inproq.Text))
	for _, ct := range []inproq.ContentType{inproq.JSON, inproq.Text, inproq.Bytes, inproq.Gob} {
		codecKeeps(t, ct, []byte(` [1, 2] `))
		codecKeeps(t, ct, json.RawMessage(` [1, 2] `))
	}
	assert.Equal(t, codecRecord{7}, codecDeliver[[]byte, codecRecord](t, []byte(` {"N": 7} `), inproq.JSON))
}

func TestCodecVerbatimBodiesAreChecked(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	raw, rawJSON := sendQueue[[]byte](t, b, "raw", inproq.QueueConfig{}), sendQueue[json.RawMessage](t, b, "json", inproq.QueueConfig{})
	for _, body := range []string{"", "{", "{} {}", "nul", "\xff"} {
		_, err := raw.Send(t.Context(), []byte(body), inproq.ContentAs(inproq.JSON))
		sendReject(t, err, inproq.ErrContentType, 10203, "JSON")
		_, err = rawJSON.Send(t.Context(), json.RawMessage(body))
		sendReject(t, err, inproq.ErrContentType, 10203, "JSON")
		_, err = raw.Send(t.Context(), []byte(body))
		require.NoError(t, err, "bytes may be anything")
	}
	for _, body := range []string{"\xff", "a\xc3"} {
		_, err := raw.Send(t.Context(), []byte(body), inproq.ContentAs(inproq.Text))
		sendReject(t, err, inproq.ErrContentType, 10203, "UTF-8")
		_, err = sendQueue[string](t, b, "text", inproq.QueueConfig{}).Send(t.Context(), body, inproq.ContentAs(inproq.Text))
		sendReject(t, err, inproq.ErrContentType, 10203, "UTF-8")
	}
}

type codecPanics struct{}

func (codecPanics) MarshalJSON() ([]byte, error) { panic("boom") }
func (codecPanics) GobEncode() ([]byte, error)   { panic("boom") }

var errCodec = errors.New("will not")

type codecRefuses struct{}

func (codecRefuses) MarshalJSON() ([]byte, error) { return nil, errCodec }
func (codecRefuses) GobEncode() ([]byte, error)   { return nil, errCodec }

func TestCodecWhatDoesNotEncodeIsAnErrorNotAPanic(t *testing.T) {
	q := sendQueue[any](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
	var nowhere *codecRecord
	for _, tt := range []struct {
		body any
		ct   inproq.ContentType
		text string
	}{
		{make(chan int), inproq.JSON, "chan int"},
		{func() {}, inproq.JSON, "func()"},
		{math.NaN(), inproq.JSON, "NaN"},
		{map[string]any{"x": math.Inf(1)}, inproq.JSON, "+Inf"},
		{codecPanics{}, inproq.JSON, "boom"},
		{codecRefuses{}, inproq.JSON, "will not"},
		{make(chan int), inproq.Gob, "chan int"},
		{nowhere, inproq.Gob, "gob"},
	} {
		_, err := q.Send(t.Context(), tt.body, inproq.ContentAs(tt.ct))
		require.Error(t, err, "%T as %s", tt.body, tt.ct)
		sendReject(t, err, inproq.ErrContentType, 10203, tt.text, string(tt.ct))
	}
	_, err := q.Send(t.Context(), codecRefuses{})
	assert.ErrorIs(t, err, errCodec, "the encoder's error is kept")
	_, err = sendQueue[codecPanics](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{ContentType: inproq.Gob}).Send(t.Context(), codecPanics{})
	sendReject(t, err, inproq.ErrContentType, 10203, "panicked: boom")
}

// The store copies: a body belongs to the caller again when the send returns.
func TestCodecBodyMayBeChangedAfterSend(t *testing.T) {
	for name, cfg := range map[string]inproq.Config{"local": {}, "remote": {Store: newSendStore()}} {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, cfg)
			q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
			body, h := []byte("before"), map[string]string{"K": "before"}
			batch := []inproq.MessageSendRequest[[]byte]{{Body: body, Headers: h}, {Body: body, Delay: time.Hour}}
			_, err := q.Send(t.Context(), body)
			require.NoError(t, err)
			_, err = q.Send(t.Context(), body, inproq.Delay(time.Hour))
			require.NoError(t, err)
			_, err = q.SendBatch(t.Context(), batch)
			require.NoError(t, err)
			copy(body, "after!")
			h["K"], batch[0].Body = "after!", nil
			msgs, err := b.Peek(t.Context(), "q", 10)
			require.NoError(t, err)
			require.Len(t, msgs, 4)
			for _, m := range msgs {
				assert.Equal(t, "before", string(m.Body))
			}
			assert.True(t, slices.ContainsFunc(msgs, func(m inproq.PeekedMessage) bool { return m.Headers["K"] == "before" }))
		})
	}
}

// A type may encode itself through its pointer alone.
func TestCodecUsesMethodsOfThePointer(t *testing.T) {
	assert.JSONEq(t, "42", string(codecDeliver[big.Int, []byte](t, *big.NewInt(42), inproq.JSON)))
	got := codecDeliver[big.Int, big.Int](t, *big.NewInt(42), inproq.JSON)
	assert.Equal(t, "42", got.String())
}
