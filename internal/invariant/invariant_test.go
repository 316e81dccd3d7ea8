package invariant

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckPanicsExactlyWhereInvariantsAreChecked(t *testing.T) {
	assert.NotPanics(t, func() { Check(true, "all is well") })
	violate := func() { Check(false, "%d leases, expected %d", 2, 1) }
	if !On {
		assert.NotPanics(t, violate)
		return
	}
	assert.PanicsWithValue(t, "inproq: invariant violated: 2 leases, expected 1", violate)
}
