package faulttest

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

func TestWriteErrors(t *testing.T) {
	for name, rule := range map[string]Rule{
		"Once":  {Files: Log, Calls: Write, Times: 1},
		"Short": {Files: Log, Calls: Write, Short: true},
		"Later": {Files: Log, Calls: Write, After: 7},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 20_000)
			f := r.disk.Inject(rule)
			failed := 0
			for _, err := range r.sends(t) {
				if err == nil {
					continue
				}
				failed++
				assert.ErrorContains(t, err, "sqlite: the disk fails")
				assert.NotErrorIs(t, err, store.ErrFull)
				assert.NotErrorIs(t, err, store.ErrReadOnly, "it may pass")
			}
			assert.NotZero(t, failed)
			r.reads(t)
			f.Lift()
			for _, err := range r.sends(t) {
				require.NoError(t, err)
			}
			require.NoError(t, r.ack())
			r.audits(t, 2)
		})
	}
}

func TestReadOnlyDisk(t *testing.T) {
	r := newRig(t, 2000)
	r.disk.Inject(Rule{Files: AnyFile, Calls: Write | Resize, Error: Forbidden})
	r.readOnly(t)
	r.audits(t, 2)
}

func TestFailingReads(t *testing.T) {
	r := newRig(t, 200_000)
	require.NoError(t, r.s.Close())
	r.s = open(t, r.path, on(r.disk, r.path)) // nothing is in memory
	f := r.disk.Inject(Rule{Files: AnyFile, Calls: Read})
	_, err := peekAll(r.s, first)
	require.ErrorContains(t, err, "sqlite: the disk fails")
	_, err = r.s.Lease(t.Context(), first, store.Claim{Max: 5, Visibility: forever}, nil)
	require.ErrorContains(t, err, "sqlite: the disk fails")
	f.Lift()
	r.reads(t)
	require.NoError(t, r.ack())
	r.audits(t, 2)
}

// TestFailingOpen fails every call there is when a file is opened, one after the other. It says
// so, and leaves nothing locked.
func TestFailingOpen(t *testing.T) {
	for _, rule := range []Rule{
		{Files: Database, Calls: Open},
		{Files: Log | Journal, Calls: Open},
		{Files: AnyFile, Calls: Read},
		{Files: AnyFile, Calls: Write},
		{Files: AnyFile, Calls: Write, Error: NoSpace},
		{Files: AnyFile, Calls: Write, Error: Forbidden},
		{Files: AnyFile, Calls: Sync},
		{Files: AnyFile, Calls: Delete},
	} {
		for rule.After = 0; rule.After < 40; rule.After++ {
			rule.Times = 1
			d, path := newDisk(t, 0)
			f := d.Inject(rule)
			s, err := sqlite.Open(path, on(d, path))
			if err == nil {
				require.NoError(t, s.Close())
				if f.Hits() == 0 {
					break // there were not so many calls
				}
				continue
			}
			require.NotZero(t, f.Hits(), "%+v: %v", rule, err)
			assert.ErrorContains(t, err, "sqlite: "+filepath.Base(path))
			f.Lift()
			s, err = sqlite.Open(path, on(d, path))
			require.NoError(t, err, "%+v", rule)
			create(t, s, newLedger())
			require.NoError(t, s.Close())
		}
	}
}

// TestFaultsUnderLoad has faults come and go while many goroutines are at work.
func TestFaultsUnderLoad(t *testing.T) {
	for seed := range rounds(8) {
		chance := rand.New(rand.NewPCG(seed, 4))
		r := newRig(t, 20_000)
		r.fault = true
		r.start(seed)
		for range 10 {
			f := r.disk.Inject(Rule{
				Files: []Kind{Log, Log, Database, AnyFile}[chance.IntN(4)],
				Calls: []Call{Write, Write | Resize, Read}[chance.IntN(3)],
				Error: []Error{IOError, NoSpace}[chance.IntN(2)],
				After: chance.IntN(30),
				Times: chance.IntN(3),
				Short: chance.IntN(2) == 0,
			})
			select {
			case <-f.Hit():
			case <-time.After(10 * time.Millisecond): // the load may not make such calls
			}
			f.Lift()
		}
		r.end(t)
		assert.NoError(t, r.enqueue(first, newMessages(1, 10)), "all faults have passed")
		r.audits(t, 2)
	}
}
