package memory

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// A pause that the record tells of is in force, also while the PutQueue that brought it
// has yet to do what takes long.
func TestAPauseIsInForceWhenItCanBeRead(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(1, 0)
		all, _, err := r.Queues(t.Context(), 0, 0)
		require.NoError(t, err)
		rec := all[0]
		rec.Paused = true
		_, q, err := r.put(rec)
		require.NoError(t, err)
		_, err = r.Lease(t.Context(), "q", store.Claim{Max: 1}, nil)
		assert.ErrorIs(t, err, store.ErrPaused)
		q.configure(rec.Revision+1, rec.Retention)
	})
}
