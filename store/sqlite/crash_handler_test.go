package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/sqlite"
)

const exitingRetries = 3

// exitingHandler is a child whose handler ends the process at its first line. It ends in
// order when it has found the message in the dead-letter queue.
func exitingHandler(path string) error {
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	b, err := inproq.NewBroker(inproq.Config{Store: s})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(background)
	defer stop()
	jobs, err := inproq.Declare[string](ctx, b, "jobs", inproq.QueueConfig{})
	if err != nil {
		return err
	}
	_, err = jobs.Consume(func(context.Context, *inproq.MessageBatch[string]) error {
		fmt.Println("handler")
		os.Exit(1)
		return nil
	}, inproq.ConsumerConfig{MaxRetries: exitingRetries, DeadLetterQueue: "dead-jobs", MaxBatchTimeout: inproq.NoWait})
	if err != nil {
		return err
	}
	dead, err := inproq.Declare[string](ctx, b, "dead-jobs", inproq.QueueConfig{})
	if err != nil {
		return err
	}
	_, err = dead.Consume(inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
		letter, _ := m.DeadLetter()
		fmt.Println(m.Body, m.Attempts, letter.Queue, letter.Attempts, letter.Reason)
		stop()
		return nil
	}), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
	if err != nil {
		return err
	}
	if err := b.Run(ctx); err != nil {
		return err
	}
	return s.Close()
}

// An attempt is counted before the handler runs, so a message that ends every process
// that touches it is a dead letter after as many deliveries as any other.
func TestHandlerThatExits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	b, err := inproq.NewBroker(inproq.Config{Store: s})
	require.NoError(t, err)
	jobs, err := inproq.Declare[string](t.Context(), b, "jobs", inproq.QueueConfig{})
	require.NoError(t, err)
	_, err = jobs.Send(t.Context(), "poison")
	require.NoError(t, err)
	require.NoError(t, b.Shutdown(t.Context()))
	require.NoError(t, s.Close())

	for range exitingRetries + 1 {
		said, code := runHandler(t, path)
		require.Equal(t, []string{"handler"}, said)
		require.Equal(t, 1, code)
	}
	said, code := runHandler(t, path)
	assert.Equal(t, []string{fmt.Sprintf("poison 1 jobs %d %s", exitingRetries+1, inproq.Crashed)}, said)
	assert.Equal(t, 0, code)
}

// runHandler runs a child to its end. It returns what it has said, by lines, and its exit code.
func runHandler(t *testing.T, path string) (said []string, code int) {
	t.Helper()
	c := startChild(t, "handler", path, 0)
	lines := bufio.NewScanner(c.out)
	for lines.Scan() {
		said = append(said, lines.Text())
	}
	require.NoError(t, lines.Err())
	return said, c.wait()
}
