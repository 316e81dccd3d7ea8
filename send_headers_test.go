package inproq_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestSendHeadersGoWithTheMessage(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	_, err := q.Send(t.Context(), nil, inproq.Header("Trace", "1"), inproq.Header("trace", "two"), inproq.Header("Trace", "é"), inproq.Header("Empty", ""))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"Trace": "é", "trace": "two", "Empty": ""}, sendPeekOne(t, b, "q").Headers)

	require.NoError(t, b.Purge(t.Context(), "q"))
	_, err = q.Send(t.Context(), nil)
	require.NoError(t, err)
	assert.Nil(t, sendPeekOne(t, b, "q").Headers)
}

func TestSendBatchAddsTheMessagesHeaders(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	_, err := q.SendBatch(t.Context(), []inproq.MessageSendRequest[[]byte]{
		{Headers: map[string]string{"A": "own", "C": "c"}},
		{},
		{Headers: map[string]string{"B": ""}},
	}, inproq.Header("A", "a"), inproq.Header("B", "b"))
	require.NoError(t, err)
	msgs, err := b.Peek(t.Context(), "q", 10)
	require.NoError(t, err)
	require.Len(t, msgs, 3)
	assert.Equal(t, map[string]string{"A": "own", "B": "b", "C": "c"}, msgs[0].Headers)
	assert.Equal(t, map[string]string{"A": "a", "B": "b"}, msgs[1].Headers, "one message's headers are not another's")
	assert.Equal(t, map[string]string{"A": "a", "B": ""}, msgs[2].Headers)
}

func TestSendRefusesInvalidHeaders(t *testing.T) {
	q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
	for name, tt := range map[string]struct{ key, value, text string }{
		"no key":           {"", "v", "1 to 64"},
		"key of 65":        {strings.Repeat("k", 65), "v", "1 to 64"},
		"space":            {"a b", "v", "letters, digits and dashes"},
		"underscore":       {"a_b", "v", "letters, digits and dashes"},
		"colon":            {"a:", "v", "letters, digits and dashes"},
		"not ASCII":        {"é", "v", "letters, digits and dashes"},
		"line break":       {"K", "a\nb", `'\n'`},
		"carriage return":  {"K", "a\rb", `'\r'`},
		"NUL":              {"K", "a\x00b", `'\x00'`},
		"not UTF-8":        {"K", "a\xff", "UTF-8"},
		"reserved":         {"Inproq-Trace", "v", "reserved"},
		"reserved, lower":  {"inproq-trace", "v", "reserved"},
		"reserved, exact":  {"INPROQ-", "v", "reserved"},
		"reserved, letter": {"Inproq-Dead-Letter-Queue", "v", "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			_, one := q.Send(t.Context(), nil, inproq.Header(tt.key, tt.value))
			_, all := q.SendBatch(t.Context(), inproq.Bodies([]byte(nil)), inproq.Header(tt.key, tt.value))
			_, each := q.SendBatch(t.Context(), []inproq.MessageSendRequest[[]byte]{{Headers: map[string]string{tt.key: tt.value}}})
			for _, err := range []error{one, all, each} {
				sendReject(t, err, inproq.ErrInvalidHeader, 10203, tt.text, `"q"`)
			}
		})
	}
	for _, key := range []string{"k", strings.Repeat("k", 64), "-", "0", "Inproq", "X-Inproq-Trace"} {
		_, err := q.Send(t.Context(), nil, inproq.Header(key, "\tany é, but one line"))
		require.NoError(t, err, "%q", key)
	}
}
