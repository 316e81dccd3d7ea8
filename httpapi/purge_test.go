package httpapi

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// faultyPurge is a store that cannot purge while broken is set.
type faultyPurge struct {
	store.Store
	broken bool
}

func (s *faultyPurge) Purge(ctx context.Context, queue string) error {
	if s.broken {
		return errors.New("disk on fire")
	}
	return s.Store.Purge(ctx, queue)
}

// A purge that has deleted nothing was none, as its status says.
func TestPurgeThatFailsHasNoStatus(t *testing.T) {
	engine := &faultyPurge{Store: memory.New(), broken: true}
	t.Cleanup(func() { _ = engine.Close() })
	c := call(t, inproq.Config{Store: engine})
	path := c.queue("orders")
	consent := `{"delete_messages_permanently":true}`
	assert.False(t, c.do("POST", path+"/purge", consent).Success)
	var p wirePurge
	c.do("GET", path+"/purge", "").ok(&p)
	assert.Empty(t, p.StartedAt)
	engine.broken = false
	c.do("POST", path+"/purge", consent).ok(nil)
	c.do("GET", path+"/purge", "").ok(&p)
	assert.NotEmpty(t, p.StartedAt)
}
