package headers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// What With has put in is gone again, whether the message died once or more often.
func TestWithoutDeadLetterUndoesWith(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.MapOf(rapid.StringMatching(`[A-Za-z0-9-]{1,8}`), rapid.String()).Draw(t, "headers")
		var want map[string]string
		if len(h) > 0 {
			want = h
		}
		once := died.With(h)
		twice := DeadLetter{Queue: "other", Error: rapid.String().Draw(t, "error")}.With(once)
		for _, dead := range []map[string]string{h, once, twice} {
			assert.Equal(t, want, WithoutDeadLetter(dead))
		}
		_, ok := ParseDeadLetter(WithoutDeadLetter(twice))
		assert.False(t, ok)
	})
}

// What remains is a map of its own, and reserved headers of another kind stay.
func TestWithoutDeadLetterCopies(t *testing.T) {
	h := died.With(map[string]string{"a": "1", Reserved + "Something-Else": "2"})
	rest := WithoutDeadLetter(h)
	assert.Equal(t, map[string]string{"a": "1", Reserved + "Something-Else": "2"}, rest)
	rest["a"] = "3"
	assert.Equal(t, "1", h["a"])
	assert.Len(t, h, 7, "and the dead one is as it was")
	assert.Nil(t, WithoutDeadLetter(nil))
	assert.Nil(t, WithoutDeadLetter(died.With(nil)))
}
