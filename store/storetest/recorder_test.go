package storetest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A recorder is a testing.TB that keeps a failure to itself.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failure  string
	cleanups []func()
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == "" {
		r.failure = fmt.Sprintf(format, args...)
	}
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

// verdict runs a case and returns what it failed with: "" if it passed.
func verdict(t *testing.T, h Harness, run func(tb testing.TB)) string {
	r := &recorder{TB: t}
	h.bubble(t, func(*testing.T) {
		var one sync.WaitGroup
		one.Go(func() {
			defer func() {
				for _, f := range slices.Backward(r.cleanups) {
					f()
				}
			}()
			run(r)
		})
		one.Wait()
	})
	return r.failure
}

// find is the case with this name, written as Topic/Case.
func find(t *testing.T, name string) check {
	t.Helper()
	topicName, checkName, _ := strings.Cut(name, "/")
	for _, topic := range topics {
		for _, c := range topic.checks {
			if topic.name == topicName && c.name == checkName {
				return c
			}
		}
	}
	t.Fatalf("there is no case %q", name)
	return check{}
}
