// Package invariant states what must hold, and checks it where checking is
// affordable: in builds with the race detector or the tag "invariants". In
// other builds On is a constant false and every check compiles to nothing.
package invariant

import "fmt"

// Check panics with the formatted message unless ok. Guard arguments that are
// costly to compute with On.
func Check(ok bool, format string, args ...any) {
	if On && !ok {
		panic("inproq: invariant violated: " + fmt.Sprintf(format, args...))
	}
}
