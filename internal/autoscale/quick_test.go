package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Handlers that compute are as many as the processors while there is a backlog
// for all of them, although one could keep up.
func TestQuickHandlersUseAllProcessors(t *testing.T) {
	for _, c := range []struct {
		name    string
		ready   int64
		service time.Duration
		max     int
		want    int
	}{
		{"a backlog", 400, 100 * time.Microsecond, ceiling, 4},
		{"a greater one", 1 << 40, 100 * time.Microsecond, ceiling, 4},
		{"batches for two", 299, 100 * time.Microsecond, ceiling, 2},
		{"no full batch", 99, 100 * time.Microsecond, ceiling, 1},
		{"a handler that waits", 400, time.Millisecond, ceiling, 1},
		{"a ceiling", 400, 100 * time.Microsecond, 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := after(1, 100, c.ready, c.service)
			s.Processors, s.Max = 4, c.max
			if c.ready > 1<<20 {
				s.Service = time.Nanosecond // so that the need stays small
			}
			require.Equal(t, c.want, New(epoch).Observe(s).To)
		})
	}
}

// A failure is no reason for more of them.
func TestQuickHandlersThatFail(t *testing.T) {
	s := after(1, 100, 400, 100*time.Microsecond)
	s.Processors = 4
	require.Equal(t, 1, New(epoch).Observe(failed(s)).To)
}
