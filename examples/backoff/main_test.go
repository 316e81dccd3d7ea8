package main

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproq/inproq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An attempt is a line of the output.
type attempt struct {
	number int
	at     time.Duration // since the order was sent
	result string
}

// story runs the program and returns the attempts of each order, and the other
// lines.
func story(t *testing.T, backoff inproq.Backoff) (attempts map[string][]attempt, others []string) {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, backoff))
	line := regexp.MustCompile(`^order (\w+), attempt (\d+), after (\S+): (.*)$`)
	attempts = make(map[string][]attempt)
	for text := range strings.Lines(out.String()) {
		m := line.FindStringSubmatch(strings.TrimSpace(text))
		if m == nil {
			others = append(others, strings.TrimSpace(text))
			continue
		}
		number, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		at, err := time.ParseDuration(m[3])
		require.NoError(t, err)
		attempts[m[1]] = append(attempts[m[1]], attempt{number, at, m[4]})
	}
	return attempts, others
}

func TestOneOrderIsChargedAndOneGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts, others := story(t, func(attempts int) time.Duration { return time.Duration(attempts) * time.Hour })
		const down = "payment service unavailable"
		assert.Equal(t, map[string][]attempt{
			"A7": {{1, 0, down}, {2, time.Hour, down}, {3, 3 * time.Hour, down}, {4, 6 * time.Hour, "charged"}},
			"B2": {
				{1, 0, down}, {2, time.Hour, down}, {3, 3 * time.Hour, down}, {4, 6 * time.Hour, down},
				{5, 10 * time.Hour, down}, {6, 15 * time.Hour, down},
			},
		}, attempts)
		assert.Equal(t, []string{"order B2 given up after 6 attempts (retries_exhausted): " + down}, others)
	})
}

// Delays are random below a bound that doubles. So no delay is above its bound,
// and among many one is above the bound before.
func TestTheBoundOfTheDelaysDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bounds := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second}
		longest := make([]time.Duration, len(bounds))
		for range 100 {
			attempts, _ := story(t, inproq.ExponentialBackoff(time.Second, 10*time.Second))
			for i, bound := range bounds {
				delay := attempts["B2"][i+1].at - attempts["B2"][i].at
				assert.LessOrEqual(t, delay, bound+time.Microsecond, "after attempt %d", i+1) // the output is rounded
				longest[i] = max(longest[i], delay)
			}
		}
		below := time.Duration(0)
		for i, bound := range bounds {
			assert.Greater(t, longest[i], below, "after attempt %d", i+1)
			below = bound
		}
	})
}

// A run that ends early says so.
func TestOrdersAreStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Hour)
		defer cancel()
		var out bytes.Buffer
		err := run(ctx, &out, func(attempts int) time.Duration { return time.Duration(attempts) * time.Hour })
		assert.EqualError(t, err, "stopped early; orders neither charged nor given up: 1")
	})
}
