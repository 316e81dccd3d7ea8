package memory_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
	"github.com/inproq/inproq/store/storetest"
)

var harness = storetest.Harness{
	Open:    func(testing.TB) store.Store { return memory.New() },
	Virtual: true,
}

func TestConformance(t *testing.T) { storetest.Run(t, harness) }

// rapidSource lets rapid draw, and shrink, the choices of the model test.
type rapidSource struct{ *rapid.T }

func (r rapidSource) Intn(label string, n int) int { return rapid.IntRange(0, n-1).Draw(r.T, label) }

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			s := memory.New()
			defer func() { _ = s.Close() }()
			storetest.Model(rt, s, rapidSource{rt}, 60)
		})
	})
}
