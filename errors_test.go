package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// errorCodes are the numbers of Cloudflare's tables; 15000 is its "unknown".
var errorCodes = map[string]struct {
	err  error
	code int
}{
	"ErrQueueNotFound":        {inproq.ErrQueueNotFound, 10104},
	"ErrQueueExists":          {inproq.ErrQueueExists, 11009},
	"ErrInvalidQueueName":     {inproq.ErrInvalidQueueName, 11003},
	"ErrInvalidConfig":        {inproq.ErrInvalidConfig, 100128},
	"ErrConsumerExists":       {inproq.ErrConsumerExists, 11004},
	"ErrConsumerNotFound":     {inproq.ErrConsumerNotFound, 11006},
	"ErrNotPullConsumer":      {inproq.ErrNotPullConsumer, 0},
	"ErrMessageTooLarge":      {inproq.ErrMessageTooLarge, 10204},
	"ErrBatchTooLarge":        {inproq.ErrBatchTooLarge, 10205},
	"ErrEmptyBatch":           {inproq.ErrEmptyBatch, 10206},
	"ErrDelayOutOfRange":      {inproq.ErrDelayOutOfRange, 10203},
	"ErrContentType":          {inproq.ErrContentType, 10203},
	"ErrInvalidHeader":        {inproq.ErrInvalidHeader, 10203},
	"ErrTypeMismatch":         {inproq.ErrTypeMismatch, 15000},
	"ErrTooManyRequests":      {inproq.ErrTooManyRequests, 10250},
	"ErrStorageLimitExceeded": {inproq.ErrStorageLimitExceeded, 10251},
	"ErrDeliveryPaused":       {inproq.ErrDeliveryPaused, 0},
	"ErrBrokerClosed":         {inproq.ErrBrokerClosed, 15000},
	"ErrShutdownTimeout":      {inproq.ErrShutdownTimeout, 15000},
	"ErrNotSupported":         {inproq.ErrNotSupported, 15000},
	"ErrConflict":             {inproq.ErrConflict, 15000},
}

func TestErrorCodeOfEverySentinel(t *testing.T) {
	source, err := os.ReadFile("errors.go")
	require.NoError(t, err)
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\t(Err\w+) += `).FindAllStringSubmatch(string(source), -1) {
		names = append(names, m[1])
	}
	var known []string
	for name, tt := range errorCodes {
		known = append(known, name)
		assert.Equal(t, tt.code, inproq.ErrorCode(tt.err), name)
		assert.Equal(t, tt.code, inproq.ErrorCode(fmt.Errorf("a: %w", fmt.Errorf("b: %w", tt.err))), "wrapped %s", name)
		assert.Equal(t, tt.code, inproq.ErrorCode(errors.Join(errors.New("first"), tt.err)), "joined %s", name)
	}
	assert.ElementsMatch(t, names, known)
}

func TestErrorTextsNameThePackageOnce(t *testing.T) {
	seen := make(map[string]bool)
	for name, tt := range errorCodes {
		text := tt.err.Error()
		assert.True(t, strings.HasPrefix(text, "inproq: "), name)
		assert.Greater(t, len(text), len("inproq: "), name)
		assert.False(t, seen[text], "%s: two errors have the text %q", name, text)
		seen[text] = true
		for other, o := range errorCodes {
			assert.Equal(t, name == other, errors.Is(tt.err, o.err), "%s is %s", name, other)
		}
	}
}

func TestErrorCodeOfOthers(t *testing.T) {
	assert.Zero(t, inproq.ErrorCode(nil))
	assert.Equal(t, 15000, inproq.ErrorCode(errors.New("any")))
	assert.Equal(t, 15000, inproq.ErrorCode(context.Canceled))
	assert.Equal(t, 15000, inproq.ErrorCode(&inproq.DecodeError{Err: errors.New("any")}))
}

func TestErrorMessageTooLargeSaysHowMuch(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &inproq.MessageTooLargeError{Index: 3, Part: "headers", Size: 11, Limit: 10})
	require.ErrorIs(t, err, inproq.ErrMessageTooLarge)
	assert.Equal(t, 10204, inproq.ErrorCode(err))
	assert.EqualError(t, err, "wrapped: inproq: message too large: headers of 11 bytes, the limit is 10")
}

func TestErrorDecodeSaysWhichMessage(t *testing.T) {
	cause := errors.New("unexpected comma")
	var err error = &inproq.DecodeError{Queue: "orders", ID: inproq.MessageID{15: 0xab}, ContentType: inproq.JSON, Err: cause}
	require.ErrorIs(t, err, cause)
	assert.EqualError(t, err, `inproq: message 000000000000000000000000000000ab in "orders": json body does not decode: unexpected comma`)
}

func TestErrorMustPanicsWithTheError(t *testing.T) {
	assert.Equal(t, 1, inproq.Must(1, nil))
	assert.PanicsWithValue(t, inproq.ErrConflict, func() { inproq.Must(1, inproq.ErrConflict) })
}

// A number that an error of another package has is none of ours.
func TestErrorCodeOfAForeignError(t *testing.T) {
	assert.Equal(t, 15000, inproq.ErrorCode(foreignError{}))
}

type foreignError struct{}

func (foreignError) Error() string { return "database is locked" }
func (foreignError) Code() int     { return 5 }
