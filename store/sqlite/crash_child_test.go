package sqlite_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// A child is this test binary once more, as a process that may be killed. What it has
// to say goes to its standard output, and while its standard input is open it knows
// that the test still runs.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    io.Reader
	stdin  io.Closer
	stderr bytes.Buffer
	over   bool
}

const (
	childRole = "INPROQ_CRASH_ROLE"
	childFile = "INPROQ_CRASH_FILE"
	childSeed = "INPROQ_CRASH_SEED"
)

// childRoles are what a child can be. None returns but by an end of the process or of its work.
var childRoles = map[string]func(path string) error{
	"load":    crashLoad,
	"holder":  crashHolder,
	"handler": exitingHandler,
}

// beChild makes the process a child, if it was started as one; then it does not return.
func beChild() {
	role := childRoles[os.Getenv(childRole)]
	if role == nil {
		return
	}
	go func() {
		// A child whose parent has died, by a timeout of the tests say, ends too.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	if err := role(os.Getenv(childFile)); err != nil {
		fmt.Fprintln(os.Stderr, "the child failed:", err)
		os.Exit(2)
	}
	os.Exit(0)
}

// startChild starts a child that works on a file.
func startChild(t *testing.T, role, path string, seed uint64) *child {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	c := &child{t: t, cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), childRole+"="+role, childFile+"="+path, fmt.Sprint(childSeed, "=", seed))
	c.cmd.Stderr = &c.stderr
	c.out, err = c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.stdin, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() {
		if !c.over { // the test has failed
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	return c
}

// kill ends the child with SIGKILL. What it has written to its output can still be read.
func (c *child) kill() { _ = c.cmd.Process.Kill() }

// wait returns the child's exit code, -1 if it was killed. Its output must have been read to
// the end.
func (c *child) wait() int {
	_ = c.cmd.Wait() // the code says it too
	c.over = true
	return c.cmd.ProcessState.ExitCode()
}

// silent checks that the child has had nothing to complain about: no panic, no data race.
func (c *child) silent() { require.Empty(c.t, c.stderr.String(), "the child's standard error") }
