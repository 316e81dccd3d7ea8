package main

import (
	"context"
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

// tell runs a service whose deploy ends its context, and returns what was printed
// and what Run has returned.
func tell(t *testing.T, s *service) (string, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var text strings.Builder
	s.out = &story{w: &text, began: time.Now()}
	s.deploy = func() error { cancel(); return nil }
	err := s.run(ctx)
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return text.String(), err
}

func TestHandlerThatOverstays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := tell(t, &service{email: 4 * time.Second, page: 7 * time.Second, grace: 20 * time.Second})
		require.ErrorIs(t, err, inproq.ErrShutdownTimeout)
		assert.Equal(t, strings.TrimPrefix(`
  0.0s  annual report: begun
  0.0s  email to ada: begun
  0.0s  the signal has arrived: Run delivers what is ready
  4.0s  email to ada: sent
  4.0s  email to alan: begun
  8.0s  email to alan: sent
  8.0s  email to grace: begun
 12.0s  email to grace: sent
 12.0s  email to the archive: begun
 16.0s  email to the archive: sent
 20.0s  annual report: stopped at page 3: inproq: shutdown timeout
 20.0s  level=ERROR msg="handler failed" queue=reports messages=1 after=20s err="all 1 messages failed, the last: inproq: shutdown timeout"
 20.0s  level=WARN msg="messages discarded with the store in memory" queue=reports messages=1 delayed=0
 20.0s  Run has returned: inproq: shutdown timeout
 20.0s  a send after that: inproq: broker closed
`, "\n"), got)
	})
}

func TestHandlersThatFinishInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := tell(t, &service{email: time.Second, page: 20 * time.Millisecond, grace: 30 * time.Second})
		require.NoError(t, err)
		assert.NotContains(t, got, "level=")
		assert.Contains(t, got, "  4.0s  email to the archive: sent\n")
		assert.Contains(t, got, " 20.0s  annual report: written\n 20.0s  Run has returned: <nil>\n")
	})
}
