package queuetest_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/inproq/inproq"
)

// fakeT is a testing.TB whose failures and cleanups a test can look at.
type fakeT struct {
	testing.TB
	mu       sync.Mutex
	cleanups []func()
	errors   []string
	fatal    bool
}

func (f *fakeT) Helper() {}

func (f *fakeT) Cleanup(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cleanups = append(f.cleanups, fn)
}

func (f *fakeT) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fakeT) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	f.mu.Lock()
	f.fatal = true
	f.mu.Unlock()
	runtime.Goexit()
}

// run calls a test body, then the cleanups in the order of the testing package.
func (f *fakeT) run(body func()) {
	var wg sync.WaitGroup
	wg.Go(body) // Fatalf ends its goroutine
	wg.Wait()
	f.mu.Lock()
	fns := slices.Clone(f.cleanups)
	f.mu.Unlock()
	for _, fn := range slices.Backward(fns) {
		fn()
	}
}

// journal is a handler's notes, for all goroutines.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// note is a handler that writes the bodies down.
func (j *journal) note(_ context.Context, m *inproq.Message[string]) error {
	j.add(m.Body)
	return nil
}

// quiet is a logger that says nothing.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
