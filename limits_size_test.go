package inproq_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// limitTooLarge takes the typed error out of err and compares it.
func limitTooLarge(t *testing.T, err error, want inproq.MessageTooLargeError) {
	t.Helper()
	require.ErrorIs(t, err, inproq.ErrMessageTooLarge)
	got, ok := errors.AsType[*inproq.MessageTooLargeError](err)
	require.True(t, ok, "no *MessageTooLargeError in %v", err)
	assert.Equal(t, want, *got)
	assert.Equal(t, 10204, inproq.ErrorCode(err))
}

func TestLimitBodyBytesAreExact(t *testing.T) {
	tests := map[string]struct {
		limit int // of the configuration
		size  int
		over  int // the limit that is exceeded; 0: none is
	}{
		"at the default":    {0, 128_000, 0},
		"above the default": {0, 128_001, 128_000},
		"empty":             {0, 0, 0},
		"at a custom one":   {10, 10, 0},
		"above a custom":    {10, 11, 10},
		"without a limit":   {inproq.NoLimit, 128_001, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, inproq.Config{Limits: inproq.Limits{MaxMessageBytes: tt.limit}})
			q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
			body := make([]byte, tt.size)
			_, one := q.Send(t.Context(), body)
			_, many := q.SendBatch(t.Context(), inproq.Bodies(nil, body))
			if tt.over == 0 {
				require.NoError(t, one)
				require.NoError(t, many)
				assert.Equal(t, 3, sendBacklog(t, b, "q"))
				return
			}
			limitTooLarge(t, one, inproq.MessageTooLargeError{Index: 0, Part: "body", Size: tt.size, Limit: tt.over})
			limitTooLarge(t, many, inproq.MessageTooLargeError{Index: 1, Part: "body", Size: tt.size, Limit: tt.over})
			assert.Zero(t, sendBacklog(t, b, "q"))
		})
	}
}

func TestLimitErrorNamesBothNumbersAndTheMessage(t *testing.T) {
	q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "orders", inproq.QueueConfig{})
	_, err := q.Send(t.Context(), make([]byte, 128_001))
	sendReject(t, err, inproq.ErrMessageTooLarge, 10204, "128001", "128000", "body", `"orders"`)
	_, err = q.SendBatch(t.Context(), inproq.Bodies(nil, nil, make([]byte, 128_001)))
	sendReject(t, err, inproq.ErrMessageTooLarge, 10204, "128001", "128000", "message 2", `"orders"`)
}

// It is the encoded size that counts: quotes and escapes included.
func TestLimitJSONCountsEncodedBytes(t *testing.T) {
	q := sendQueue[string](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
	for body, size := range map[string]int{
		strings.Repeat("a", 127_998):      128_000,
		strings.Repeat("a", 127_999):      128_001,
		strings.Repeat("\x01", 21_333):    128_000,
		strings.Repeat("\x01", 21_334):    128_006,
		strings.Repeat("é", 63_999):       128_000,
		strings.Repeat("é", 63_999) + "e": 128_001,
	} {
		_, err := q.Send(t.Context(), body)
		if size == 128_000 {
			require.NoError(t, err)
			continue
		}
		limitTooLarge(t, err, inproq.MessageTooLargeError{Part: "body", Size: size, Limit: 128_000})
	}
}

func TestLimitBatchCount(t *testing.T) {
	tests := map[string]struct {
		limit, atomic int // Limits.MaxBatchMessages, Guarantee.AtomicSend
		n             int
		err           error
		text          []string
	}{
		"none":                        {0, 0, 0, inproq.ErrEmptyBatch, []string{"at least one"}},
		"one":                         {0, 0, 1, nil, nil},
		"at the default":              {0, 0, 100, nil, nil},
		"above the default":           {0, 0, 101, inproq.ErrBatchTooLarge, []string{"101", "100"}},
		"none, without a limit":       {inproq.NoLimit, 0, 0, inproq.ErrEmptyBatch, nil},
		"without a limit":             {inproq.NoLimit, 0, 1000, nil, nil},
		"at a custom limit":           {7, 0, 7, nil, nil},
		"above a custom limit":        {7, 0, 8, inproq.ErrBatchTooLarge, []string{"8", "7"}},
		"all that the store takes":    {0, 20, 20, nil, nil},
		"more than the store takes":   {0, 20, 21, inproq.ErrBatchTooLarge, []string{"21", "20"}},
		"the store takes more anyway": {0, 1000, 101, inproq.ErrBatchTooLarge, []string{"101", "100"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			st := newSendStore()
			st.promise.AtomicSend = tt.atomic
			b := sendBroker(t, inproq.Config{Store: st, Limits: inproq.Limits{MaxBatchMessages: tt.limit}})
			q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
			res, err := q.SendBatch(t.Context(), make([]inproq.MessageSendRequest[[]byte], tt.n))
			if tt.err != nil {
				sendReject(t, err, tt.err, 10206, append(tt.text, `"q"`)...)
				assert.Zero(t, res)
				assert.Zero(t, sendBacklog(t, b, "q"))
				return
			}
			require.NoError(t, err)
			assert.Len(t, res.IDs, tt.n)
			assert.Equal(t, tt.n, sendBacklog(t, b, "q"))
			assert.Equal(t, 1, st.called("Enqueue"), "a batch costs one call")
		})
	}
}

func TestLimitBatchBytes(t *testing.T) {
	tests := map[string]struct {
		limit int
		sizes []int
		over  string // numbers in the error's text; "": accepted
	}{
		"at the default":       {0, []int{128_000, 128_000}, ""},
		"above the default":    {0, []int{128_000, 1, 128_000}, "256001 bytes, the limit is 256000"},
		"at a custom limit":    {30, []int{10, 20}, ""},
		"above a custom limit": {30, []int{10, 21}, "31 bytes, the limit is 30"},
		"without a limit":      {inproq.NoLimit, []int{128_000, 128_000, 128_000}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, inproq.Config{Limits: inproq.Limits{MaxBatchBytes: tt.limit}})
			q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
			var bodies [][]byte
			for _, n := range tt.sizes {
				bodies = append(bodies, make([]byte, n))
			}
			_, err := q.SendBatch(t.Context(), inproq.Bodies(bodies...))
			if tt.over != "" {
				sendReject(t, err, inproq.ErrBatchTooLarge, 10205, tt.over)
				assert.Zero(t, sendBacklog(t, b, "q"))
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestLimitHeaderBytesAreExact(t *testing.T) {
	split := map[string]string{"A": strings.Repeat("v", 3_999), "B": strings.Repeat("v", 3_999)}
	tests := map[string]struct {
		limit int
		h     map[string]string
		size  int
		over  int
	}{
		"at the default":    {0, map[string]string{"Key": strings.Repeat("v", 7_997)}, 8_000, 0},
		"above the default": {0, map[string]string{"Key": strings.Repeat("v", 7_998)}, 8_001, 8_000},
		"two together":      {0, split, 8_000, 0},
		"bytes, not runes":  {6, map[string]string{"Key": "éé"}, 7, 6},
		"without a limit":   {inproq.NoLimit, map[string]string{"Key": strings.Repeat("v", 9_000)}, 9_003, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, inproq.Config{Limits: inproq.Limits{MaxHeaderBytes: tt.limit}})
			q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
			var opts []inproq.SendOption
			for k, v := range tt.h {
				opts = append(opts, inproq.Header(k, v))
			}
			_, one := q.Send(t.Context(), nil, opts...)
			_, many := q.SendBatch(t.Context(), []inproq.MessageSendRequest[[]byte]{{}, {Headers: tt.h}})
			if tt.over == 0 {
				require.NoError(t, one)
				require.NoError(t, many)
				return
			}
			limitTooLarge(t, one, inproq.MessageTooLargeError{Index: 0, Part: "headers", Size: tt.size, Limit: tt.over})
			limitTooLarge(t, many, inproq.MessageTooLargeError{Index: 1, Part: "headers", Size: tt.size, Limit: tt.over})
		})
	}
}

// Headers are beside the body: they leave its limit alone.
func TestLimitHeadersDoNotCountInTheBody(t *testing.T) {
	q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
	_, err := q.Send(t.Context(), make([]byte, 128_000), inproq.Header("K", strings.Repeat("v", 7_999)))
	require.NoError(t, err)
	m, err := q.Metrics(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 128_000, m.BacklogBytes)
}

func TestSendBatchIsAllOrNothing(t *testing.T) {
	tests := map[string]struct {
		bad inproq.MessageSendRequest[any]
		err error
	}{
		"too large":          {inproq.MessageSendRequest[any]{Body: strings.Repeat("a", 128_000)}, inproq.ErrMessageTooLarge},
		"unknown type":       {inproq.MessageSendRequest[any]{ContentType: "xml"}, inproq.ErrContentType},
		"misfit":             {inproq.MessageSendRequest[any]{Body: 1, ContentType: inproq.Text}, inproq.ErrContentType},
		"not encodable":      {inproq.MessageSendRequest[any]{Body: make(chan int)}, inproq.ErrContentType},
		"delay too long":     {inproq.MessageSendRequest[any]{Delay: 1 << 62}, inproq.ErrDelayOutOfRange},
		"negative delay":     {inproq.MessageSendRequest[any]{Delay: -2}, inproq.ErrDelayOutOfRange},
		"header":             {inproq.MessageSendRequest[any]{Headers: map[string]string{"": "v"}}, inproq.ErrInvalidHeader},
		"headers, too large": {inproq.MessageSendRequest[any]{Headers: map[string]string{"K": strings.Repeat("v", 8_000)}}, inproq.ErrMessageTooLarge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			st := newSendStore()
			b := sendBroker(t, inproq.Config{Store: st})
			q := sendQueue[any](t, b, "q", inproq.QueueConfig{})
			res, err := q.SendBatch(t.Context(), []inproq.MessageSendRequest[any]{{Body: 1}, tt.bad, {Body: 3}})
			require.ErrorIs(t, err, tt.err)
			assert.ErrorContains(t, err, "message 1")
			assert.Zero(t, res)
			assert.Zero(t, st.called("Enqueue"))
			assert.Zero(t, b.Stats("q").Sent)
		})
	}
}
