package faulttest

import "math/rand/v2"

// kept are the odds that one pending change survives whole, of which one is drawn
// for each file and crash: with the same odds for all, a crash where everything or
// nothing is left would hardly ever happen.
var kept = []float64{0, 0.1, 0.5, 0.9, 1}

// survive returns what is left of a file whose durable content this is, which it
// may change in place.
func survive(content []byte, pending []change, chance *rand.Rand) []byte {
	odds := kept[chance.IntN(len(kept))]
	for _, c := range pending {
		switch {
		case chance.Float64() < odds:
			content = c.apply(content)
		case c.resize:
			// Dropped.
		default:
			content = tear(content, c, chance)
		}
	}
	return content
}

// tear applies some sectors of a write, often none. The file may have grown all the
// same, as its size is written apart from its data: then it has zeros there.
func tear(content []byte, c change, chance *rand.Rand) []byte {
	if chance.IntN(2) == 0 {
		for _, part := range c.sectors() {
			if chance.IntN(2) == 0 {
				content = part.apply(content)
			}
		}
	}
	if int64(len(content)) < c.end() && chance.IntN(2) == 0 {
		content = resized(content, c.end())
	}
	return content
}
