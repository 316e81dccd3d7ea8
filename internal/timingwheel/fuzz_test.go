package timingwheel

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// FuzzWheel reads its input as the choices of the model: which action, which id, which tick. Choices beyond the end of
// the input are 0, which ends every loop.
func FuzzWheel(f *testing.F) {
	f.Add([]byte{})
	for seed := range byte(20) {
		data := make([]byte, 200)
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
		f.Add(data)
	}
	for start := range byte(8) {
		// Clusters at every level, each with a few interrupted calls behind it.
		data := []byte{start}
		for shift := range byte(5) {
			data = append(data, 2, shift, 1, 11)
			for i := range byte(12) {
				data = append(data, 10*i, i%6, i)
			}
			data = append(data, 0, 2, 1, 0, 1, 4, 2, 4, 3, 3, 1)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newModel(t, func(n int, _ string) int {
			var wide [4]byte
			size := 1
			if n > 256 {
				size = 4
			}
			data = data[copy(wide[:size], data):]
			return int(binary.LittleEndian.Uint32(wide[:]) % uint32(n))
		})
		m.check()
		for len(data) > 0 {
			actions[m.choose(len(actions), "action")].run(m)
			m.check()
		}
	})
}
