package main

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// first:  ants.png, attempt 1
	// first:  bees.png, attempt 1
	// first:  crashed
	// second: cats.png, attempt 1
	// second: dogs.png, attempt 1
	// second: eels.png, attempt 1
	// second: foxes.png, attempt 1
	// second: ants.png, attempt 2
	// second: bees.png, attempt 2
	// images left: 0
}

// What a worker has forgotten comes again when its visibility is over.
func TestForgottenImagesComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), &out, time.Hour))
		assert.Equal(t, time.Hour, time.Since(began))
		assert.Contains(t, out.String(), "second: bees.png, attempt 2\nimages left: 0\n")
	})
}

// A run that ends early says so.
func TestImagesAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out bytes.Buffer
		require.ErrorIs(t, run(ctx, &out, time.Hour), context.DeadlineExceeded)
		assert.Contains(t, out.String(), "second: foxes.png, attempt 1\n")
		assert.NotContains(t, out.String(), "attempt 2")
	})
}
