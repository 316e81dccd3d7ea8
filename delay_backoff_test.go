package inproq_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/inproq/inproq"
)

// backoffBound is base × 2^(attempts-1), at most limit.
func backoffBound(base, limit time.Duration, attempts int) time.Duration {
	b := math.Ldexp(float64(base), max(attempts-1, 0))
	if b >= float64(limit) {
		return limit
	}
	return time.Duration(b)
}

func TestBackoffStaysBelowItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Powers of two and their neighbours, up to the largest duration. Below 2^53
		// the bound is exact.
		duration := rapid.Custom(func(t *rapid.T) time.Duration {
			if rapid.Bool().Draw(t, "largest") {
				return math.MaxInt64
			}
			return time.Duration(rapid.Int64Range(1, 1<<rapid.IntRange(0, 52).Draw(t, "bits")).Draw(t, "duration"))
		})
		base, limit := duration.Draw(t, "base"), duration.Draw(t, "limit")
		attempts := rapid.IntRange(-1, 1000).Draw(t, "attempts")
		backoff, bound := inproq.ExponentialBackoff(base, limit), backoffBound(base, limit, attempts)
		for range 4 {
			d := backoff(attempts)
			if d <= 0 || d > bound {
				t.Fatalf("after %d attempts %v, allowed: above 0, to %v", attempts, d, bound)
			}
		}
	})
}

// The bound doubles with each attempt until it meets the limit, and the whole
// range below it is used. Of 400 samples one is in the upper half with a
// probability of 1 - 2^-400.
func TestBackoffGrowsAndJittersFully(t *testing.T) {
	const base, limit = time.Second, 100 * time.Second
	backoff := inproq.ExponentialBackoff(base, limit)
	for attempts, bound := range map[int]time.Duration{
		-1: base, 0: base, 1: base, 2: 2 * base, 3: 4 * base, 7: 64 * base, 8: limit, 9: limit, 1000: limit, math.MaxInt: limit,
	} {
		lowest, highest := bound, time.Duration(0)
		for range 400 {
			d := backoff(attempts)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		assert.Greater(t, highest, bound/2, "after %d", attempts)
		assert.LessOrEqual(t, highest, bound, "after %d", attempts)
		assert.Less(t, lowest, bound/2, "after %d", attempts)
	}
}

func TestBackoffWithoutATimeIsNoDelay(t *testing.T) {
	for _, tt := range [][2]time.Duration{{0, time.Hour}, {-1, time.Hour}, {time.Second, 0}, {time.Second, -1}, {0, 0}, {math.MinInt64, math.MinInt64}, {math.MinInt64, math.MaxInt64}} {
		backoff := inproq.ExponentialBackoff(tt[0], tt[1])
		for _, attempts := range []int{-1, 0, 1, 2, 64, 1000} {
			assert.Zero(t, backoff(attempts), "%v after %d", tt, attempts)
		}
	}
}
