package memory_test

import (
	"testing"

	"github.com/inproq/inproq/store/storetest"
)

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, harness) }
