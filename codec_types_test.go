package inproq_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

type (
	codecName   string
	codecBlob   []byte
	codecByte   byte
	codecRecord struct{ N int }
)

// codecWiring tells what Declare and Bind make of a type with a content type.
// The queue to bind exists already: Declare would change its content type.
func codecWiring[T any](t *testing.T, ct inproq.ContentType) (declare, bind error) {
	b := sendBroker(t, inproq.Config{})
	_, declare = inproq.Declare[T](t.Context(), b, "declared", inproq.QueueConfig{ContentType: ct})
	_, err := b.CreateQueue(t.Context(), "bound", inproq.QueueConfig{ContentType: ct})
	require.NoError(t, err)
	_, bind = inproq.Bind[T](t.Context(), b, "bound")
	if declare != nil {
		_, err = b.Queue(t.Context(), "declared")
		assert.ErrorIs(t, err, inproq.ErrQueueNotFound, "a misfit creates nothing")
	}
	return declare, bind
}

func TestCodecTypesThatNeverFitAreRefusedAtWiring(t *testing.T) {
	const ok, misfit = true, false
	type wiring = func(*testing.T, inproq.ContentType) (error, error)
	tests := []struct {
		name                     string
		wire                     wiring
		json, text, bytes, gobOK bool
	}{
		{"string", codecWiring[string], ok, ok, misfit, ok},
		{"named string", codecWiring[codecName], ok, ok, misfit, ok},
		{"[]byte", codecWiring[[]byte], ok, ok, ok, ok},
		{"json.RawMessage", codecWiring[json.RawMessage], ok, ok, ok, ok},
		{"named bytes", codecWiring[codecBlob], ok, misfit, ok, ok},
		{"bytes of a named kind", codecWiring[[]codecByte], ok, misfit, ok, ok},
		{"array of bytes", codecWiring[[4]byte], ok, misfit, misfit, ok},
		{"any", codecWiring[any], ok, ok, ok, ok},
		{"interface", codecWiring[error], ok, ok, ok, ok},
		{"struct", codecWiring[codecRecord], ok, misfit, misfit, ok},
		{"pointer", codecWiring[*codecRecord], ok, misfit, misfit, ok},
		{"pointer to string", codecWiring[*string], ok, misfit, misfit, ok},
		{"map", codecWiring[map[string]int], ok, misfit, misfit, ok},
		{"[]int", codecWiring[[]int], ok, misfit, misfit, ok},
		{"int", codecWiring[int], ok, misfit, misfit, ok},
		{"chan", codecWiring[chan int], misfit, misfit, misfit, misfit},
		{"func", codecWiring[func()], misfit, misfit, misfit, misfit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for ct, fits := range map[inproq.ContentType]bool{
				inproq.JSON: tt.json, inproq.Text: tt.text, inproq.Bytes: tt.bytes, inproq.Gob: tt.gobOK,
				"": tt.json, // which is the default for all that may be refused
			} {
				declare, bind := tt.wire(t, ct)
				if fits {
					assert.NoError(t, declare, "%q", ct)
					assert.NoError(t, bind, "%q", ct)
					continue
				}
				sendReject(t, declare, inproq.ErrContentType, 10203, "does not fit", `"declared"`)
				sendReject(t, bind, inproq.ErrContentType, 10203, "does not fit", `"bound"`)
			}
		})
	}
}

// codecSentAs is the content type that a queue of bodies of type T sends with.
func codecSentAs[T any](t *testing.T, body T, cfg inproq.QueueConfig, opts ...inproq.SendOption) inproq.ContentType {
	b := sendBroker(t, inproq.Config{})
	_, err := sendQueue[T](t, b, "q", cfg).Send(t.Context(), body, opts...)
	require.NoError(t, err)
	return sendPeekOne(t, b, "q").ContentType
}

func TestCodecContentTypeIsJSONButBytesForByteSlices(t *testing.T) {
	assert.Equal(t, inproq.JSON, codecSentAs(t, "a", inproq.QueueConfig{}))
	assert.Equal(t, inproq.JSON, codecSentAs(t, codecRecord{}, inproq.QueueConfig{}))
	assert.Equal(t, inproq.JSON, codecSentAs[any](t, []byte("a"), inproq.QueueConfig{}))
	assert.Equal(t, inproq.JSON, codecSentAs(t, json.RawMessage("1"), inproq.QueueConfig{}))
	assert.Equal(t, inproq.JSON, codecSentAs(t, codecBlob("a"), inproq.QueueConfig{}))
	assert.Equal(t, inproq.Bytes, codecSentAs(t, []byte("a"), inproq.QueueConfig{}))
	assert.Equal(t, inproq.JSON, codecSentAs(t, []byte("1"), inproq.QueueConfig{ContentType: inproq.JSON}))
	assert.Equal(t, inproq.Text, codecSentAs(t, "a", inproq.QueueConfig{ContentType: inproq.Text}))
}

func TestCodecSendMayChooseAnotherContentType(t *testing.T) {
	text := inproq.QueueConfig{ContentType: inproq.Text}
	assert.Equal(t, inproq.JSON, codecSentAs(t, "a", text, inproq.ContentAs(inproq.JSON)))
	assert.Equal(t, inproq.Gob, codecSentAs(t, "a", text, inproq.ContentAs(inproq.Text), inproq.ContentAs(inproq.Gob)), "the last one counts")
	assert.Equal(t, inproq.Text, codecSentAs(t, "a", text, inproq.ContentAs("")))
	assert.Equal(t, inproq.Text, codecSentAs(t, "a", text, inproq.Header("K", "v")), "other options leave it")
}

func TestCodecBatchPrefersTheMessagesContentType(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[string](t, b, "q", inproq.QueueConfig{ContentType: inproq.Text})
	send := func(opts ...inproq.SendOption) {
		_, err := q.SendBatch(t.Context(), []inproq.MessageSendRequest[string]{{Body: "a"}, {Body: "a", ContentType: "Gob"}}, opts...)
		require.NoError(t, err)
	}
	send()
	send(inproq.ContentAs(inproq.JSON))
	msgs, err := b.Peek(t.Context(), "q", 10)
	require.NoError(t, err)
	var got []inproq.ContentType
	for _, m := range msgs {
		got = append(got, m.ContentType)
	}
	assert.Equal(t, []inproq.ContentType{inproq.Text, inproq.Gob, inproq.JSON, inproq.Gob}, got)
}

func TestCodecNamesMatchWithoutRegardToCase(t *testing.T) {
	for name, want := range map[inproq.ContentType]inproq.ContentType{
		"JSON": inproq.JSON, "Json": inproq.JSON, "TEXT": inproq.Text, "bYTES": inproq.Bytes, "GOB": inproq.Gob,
	} {
		assert.Equal(t, want, codecSentAs(t, []byte("1"), inproq.QueueConfig{}, inproq.ContentAs(name)))
		assert.Equal(t, want, codecSentAs(t, []byte("1"), inproq.QueueConfig{ContentType: name}))
	}
}

func TestCodecUnknownNamesAreRefused(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	for ct, text := range map[inproq.ContentType]string{
		"v8": `"gob"`, "V8": `"gob"`, "xml": `unknown "xml", allowed: json, text, bytes, gob`,
		" json": `" json"`, "application/json": "allowed",
	} {
		_, one := q.Send(t.Context(), nil, inproq.ContentAs(ct))
		_, all := q.SendBatch(t.Context(), inproq.Bodies([]byte(nil)), inproq.ContentAs(ct))
		_, each := q.SendBatch(t.Context(), []inproq.MessageSendRequest[[]byte]{{ContentType: ct}})
		for _, err := range []error{one, all, each} {
			sendReject(t, err, inproq.ErrContentType, 10203, text)
		}
	}
	assert.Zero(t, sendBacklog(t, b, "q"))
}

func TestCodecMisfitsOfSingleMessages(t *testing.T) {
	send := func(body any, ct inproq.ContentType) error {
		_, err := sendQueue[any](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{}).Send(t.Context(), body, inproq.ContentAs(ct))
		return err
	}
	for _, body := range []any{nil, 1, []byte("a"), []string{"a"}, codecRecord{}, new("a")} {
		sendReject(t, send(body, inproq.Text), inproq.ErrContentType, 10203, `does not fit "text"`)
	}
	for _, body := range []any{nil, 1, "a", []int{1}, [1]byte{}, codecRecord{}, &[]byte{1}} {
		sendReject(t, send(body, inproq.Bytes), inproq.ErrContentType, 10203, `does not fit "bytes"`)
	}
	sendReject(t, send(1, inproq.Text), inproq.ErrContentType, 10203, "a int")

	_, err := sendQueue[string](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{}).Send(t.Context(), "a", inproq.ContentAs(inproq.Bytes))
	sendReject(t, err, inproq.ErrContentType, 10203, "string")
	_, err = sendQueue[codecRecord](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{}).Send(t.Context(), codecRecord{}, inproq.ContentAs(inproq.Text))
	sendReject(t, err, inproq.ErrContentType, 10203, "codecRecord")
}
