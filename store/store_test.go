package store_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/inproq/inproq/store"
)

func TestVerbsHaveNames(t *testing.T) {
	for verb, name := range map[store.Verb]string{
		store.Ack:         "ack",
		store.Retry:       "retry",
		store.Move:        "move",
		store.Extend:      "extend",
		store.Release:     "release",
		store.Release + 1: "invalid",
		255:               "invalid",
	} {
		assert.Equal(t, name, verb.String())
	}
}

func TestSurvivalsHaveNames(t *testing.T) {
	for survival, name := range map[store.Survival]string{
		store.Nothing:      "nothing",
		store.ProcessCrash: "process crash",
		store.PowerLoss:    "power loss",
		store.HostLoss:     "host loss",
		store.HostLoss + 1: "invalid",
	} {
		assert.Equal(t, name, survival.String())
	}
}

func TestSurvivalsAreOrderedBySeverity(t *testing.T) {
	assert.IsIncreasing(t, []store.Survival{store.Nothing, store.ProcessCrash, store.PowerLoss, store.HostLoss})
}
