package storetest

import "math/rand/v2"

// A Source draws the choices of a [Model]. An adapter for pgregory.net/rapid, so
// that it can shrink what fails, is
//
//	type rapidSource struct{ *rapid.T }
//
//	func (s rapidSource) Intn(label string, n int) int {
//		return rapid.IntRange(0, n-1).Draw(s.T, label)
//	}
type Source interface {
	// Intn returns a number from 0 to n-1. The label says what it is for. Smaller
	// numbers are simpler choices.
	Intn(label string, n int) int
}

// Seeded is a Source that draws the same for the same seed.
func Seeded(seed uint64) Source { return seeded{rand.New(rand.NewPCG(seed, 0))} }

type seeded struct{ *rand.Rand }

func (s seeded) Intn(_ string, n int) int { return s.IntN(n) }
