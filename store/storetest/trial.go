package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproq/inproq/store"
)

// A trial is one run of one case: a store of its own, and the steps that cases
// are written in. A step that does not do what it should ends the case.
type trial struct {
	testing.TB
	explanation string
	harness     Harness
	store       store.Store
	promised    store.Guarantee
	records     map[string]store.Queue // by name, as of the last create or edit
	background  sync.WaitGroup

	// ctx ends with the case, or when it takes far too long.
	ctx context.Context

	// unit is the duration that the others are multiples of.
	unit time.Duration
	// hold is a visibility that no case outlives.
	hold time.Duration
	// late is how long after its time something may happen.
	late time.Duration
}

func newTrial(tb testing.TB, h Harness, explanation string) *trial {
	tb.Helper()
	t := &trial{
		TB:          tb,
		explanation: explanation,
		harness:     h,
		store:       h.Open(tb),
		records:     map[string]store.Queue{},
	}
	t.promised = t.store.Guarantee()
	grain := t.promised.TimerGrain
	limit := time.Minute + 100*grain
	if h.Virtual {
		t.unit, t.hold, t.late = time.Hour, 1000*time.Hour, grain
		limit = 100_000 * time.Hour
	} else {
		t.unit, t.hold, t.late = max(25*time.Millisecond, 4*grain), 10*time.Minute, grain+2*time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.ctx = ctx
	tb.Cleanup(func() {
		cancel()
		if err := t.store.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
		t.background.Wait()
	})
	return t
}

// Fatalf ends the case and prints the explanation.
func (t *trial) Fatalf(format string, args ...any) {
	t.Helper()
	t.TB.Fatalf("%s\n  the contract: %s", fmt.Sprintf(format, args...), t.explanation)
}

// ok ends the case unless err is nil.
func (t *trial) ok(call string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v, want no error", call, err)
	}
}

// fails ends the case unless err is want.
func (t *trial) fails(call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", call, err, want)
	}
}

// idle waits until all that goes on in the background blocks.
func (t *trial) idle() {
	if t.harness.Virtual {
		synctest.Wait()
	} else {
		time.Sleep(t.unit / 4)
	}
}

// pass lets time pass, and the store notice it.
func (t *trial) pass(d time.Duration) { time.Sleep(d + t.promised.TimerGrain) }
