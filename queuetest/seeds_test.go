package queuetest_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// planted names what is wrong in a process that runs TestPlantedBug, which fails
// there.
const planted = "QUEUETEST_PLANTED_BUG"

// TestPlantedBug is the test of a user whose handler is not idempotent. It runs in a
// process of its own.
func TestPlantedBug(t *testing.T) {
	switch os.Getenv(planted) {
	case "":
		return // TestSeedsFindAPlantedBug runs it
	case "no seeds":
		queuetest.Seeds(t, 0, func(*testing.T, uint64) {})
	}
	if os.Getenv(planted) == "second call" {
		queuetest.Seeds(t, 2, func(*testing.T, uint64) {})
		queuetest.Seeds(t, 3, func(t *testing.T, seed uint64) {
			if seed == 2 {
				t.Error("no good")
			}
		})
	}
	t.Run("pay (twice)", func(t *testing.T) {
		queuetest.Seeds(t, 100, func(t *testing.T, seed uint64) {
			var l ledger
			// Less than the default, so that it is not the first seed.
			f := queuetest.Faults{Duplicate: 0.01, Crash: 0.01}
			r := newFaultRig(t, seed, f, inproq.ConsumerConfig{}, inproq.Each(l.payTwice))
			r.work(20)
			if l.balance != 210 {
				t.Errorf("the balance is %d, not 210", l.balance)
			}
		})
	})
}

// What the seeds find they find within 100, and the command that they print replays
// it: the same seed, and no other, with the same faults.
func TestSeedsFindAPlantedBug(t *testing.T) {
	first := failingRun(t, "handler", "^TestPlantedBug$")
	found := regexp.MustCompile(`seed (\d+) of 100 fails; to replay it: go test -run '(.*)'`).FindStringSubmatch(first)
	require.Len(t, found, 3, "%s", first)
	seed, run := found[1], found[2]
	assert.Greater(t, len(seedsIn(first)), 1, "the first seeds pass")
	assert.Equal(t, seed, seedsIn(first)[len(seedsIn(first))-1], "it is the last that runs")
	assert.Equal(t, `^TestPlantedBug$/^pay_\(twice\)$/^seed=`+seed+`$`, run)

	again := failingRun(t, "handler", run)
	assert.Equal(t, []string{seed}, seedsIn(again))
	require.NotEmpty(t, faultsIn(first))
	assert.Equal(t, faultsIn(first), faultsIn(again))
	assert.Contains(t, again, "with seed "+seed)
}

// Two calls in one test have the same seeds; the command tells them apart.
func TestSeedsOfASecondCall(t *testing.T) {
	const run = "^TestPlantedBug$/^seed=2#01$"
	assert.Contains(t, failingRun(t, "second call", "^TestPlantedBug$"), "go test -run '"+run+"'")
	assert.Contains(t, failingRun(t, "second call", run), "--- FAIL: TestPlantedBug/seed=2#01")
}

// failingRun runs tests of this package in another process, where they fail.
func failingRun(t *testing.T, bug, run string) (output string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", run)
	cmd.Env = append(os.Environ(), planted+"="+bug)
	out, err := cmd.CombinedOutput()
	_, failed := errors.AsType[*exec.ExitError](err)
	require.True(t, failed, "%v: %s", err, out)
	return string(out)
}

// seedsIn finds the seeds that a process has run.
func seedsIn(output string) (seeds []string) {
	for _, m := range regexp.MustCompile(`(?m)^=== RUN .*/seed=(\d+)$`).FindAllStringSubmatch(output, -1) {
		seeds = append(seeds, m[1])
	}
	return seeds
}

// faultsIn finds the log of the faults.
func faultsIn(output string) []string {
	return regexp.MustCompile(`message \d+ of jobs, .*`).FindAllString(output, -1)
}

func TestSeedsNeedsOne(t *testing.T) {
	assert.Contains(t, failingRun(t, "no seeds", "^TestPlantedBug$"), "queuetest: Seeds: n is 0, allowed: 1 and more")
}

// Each seed has a bubble of its own, and they come in their order.
func TestSeedsRunInBubbles(t *testing.T) {
	var seeds []uint64
	var names []string
	queuetest.Seeds(t, 3, func(t *testing.T, seed uint64) {
		began := time.Now()
		assert.Equal(t, 2000, began.Year())
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, time.Hour, time.Since(began))
		seeds, names = append(seeds, seed), append(names, t.Name())
	})
	assert.Equal(t, []uint64{1, 2, 3}, seeds)
	assert.Equal(t, []string{t.Name() + "/seed=1", t.Name() + "/seed=2", t.Name() + "/seed=3"}, names)
}
