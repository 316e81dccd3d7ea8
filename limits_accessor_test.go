package inproq_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestLimitsOfABroker(t *testing.T) {
	b, err := inproq.NewBroker(inproq.Config{Limits: inproq.Limits{MaxDelay: 24 * time.Hour, MaxBatchMessages: inproq.NoLimit}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Shutdown(t.Context())) }()
	want := inproq.DefaultLimits()
	want.MaxDelay, want.MaxBatchMessages = 24*time.Hour, math.MaxInt
	want.MessagesPerSecond = 0 // that is how none is written here
	assert.Equal(t, want, b.Limits())
}
