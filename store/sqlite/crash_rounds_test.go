package sqlite_test

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

var (
	crashRounds = flag.Int("crash.rounds", 32, "how often TestCrash kills a process")
	crashSeed   = flag.Uint64("crash.seed", 0, "what TestCrash draws its numbers from; 0: anew each time")
)

// A process that sends, consumes and administers is killed again and again, always on
// the same file. After each kill, everything that it was told has happened must be in
// the file, and nothing that cannot be.
func TestCrash(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -crash.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "queues.db")
	m := newModel(t)
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	for _, name := range []string{work, side, dead} {
		asked := store.Queue{Name: name, Settings: []byte(`{}`)}
		kept, err := s.PutQueue(t.Context(), asked)
		require.NoError(t, err)
		m.keep(asked, kept)
	}
	require.NoError(t, s.Close())

	entries := 0
	for round := range *crashRounds {
		c := crash{
			seed:  uint64(r.Uint32()),
			after: 20*time.Millisecond + time.Duration(r.Int64N(int64(230*time.Millisecond))),
			early: r.IntN(8) == 0,
			aside: r.IntN(2) == 0,
		}
		m.round(path, c)
		entries += m.entries
		if testing.Verbose() {
			t.Logf("round %d, %+v: %d entries; %d messages", round, c, m.entries, len(m.messages))
		}
	}
	require.Greater(t, entries, *crashRounds, "the children did nothing")
	m.drain(path)
}

// A crash is one round of the test.
type crash struct {
	seed  uint64        // of the child
	after time.Duration // until it is killed
	early bool          // that counts from its start, rather than from when it has opened the file
	aside bool          // a copy of the file is looked at, so that the next child finds the log that this one has left
}

// round starts a child, kills it, and looks at what is left.
func (m *model) round(path string, how crash) {
	m.t.Helper()
	defer func() {
		if m.t.Failed() {
			m.t.Logf("it was %+v", how)
		}
	}()
	c := startChild(m.t, "load", path, how.seed)
	var entries []entry
	opened, read := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		read <- readJournal(c.out, func(e entry) {
			if entries = append(entries, e); e.What == callReady {
				opened <- struct{}{}
			}
		})
	}()
	timer := time.NewTimer(how.after)
	defer timer.Stop()
	var err error
	if !how.early {
		select {
		case <-opened:
			timer.Reset(how.after)
		case err = <-read:
			read <- err
		}
	}
	select {
	case <-timer.C:
		c.kill()
		err = <-read
	case err = <-read: // it has ended by itself, and its journal says why
	}
	c.wait()
	m.begin()
	for _, e := range entries {
		m.read(e)
	}
	require.NoError(m.t, err)
	c.silent()

	if how.aside {
		path = copyFile(m.t, path, m.t.TempDir())
	}
	l := takeLook(m.t, path)
	m.check(l)
	if !how.aside {
		m.tryOut(l, 50)
	}
	require.NoError(m.t, l.s.Close())
}

// drain delivers everything that is due, once, after the last round.
func (m *model) drain(path string) {
	m.t.Helper()
	l := takeLook(m.t, path)
	defer func() { require.NoError(m.t, l.s.Close()) }()
	for _, rec := range l.recs {
		if rec.Paused {
			rec.Paused = false
			_, err := l.s.PutQueue(m.t.Context(), rec)
			require.NoError(m.t, err)
		}
		due := 0
		for {
			ds, err := l.s.Lease(m.t.Context(), rec.Name, store.Claim{Max: 500, Visibility: time.Hour}, nil)
			require.NoError(m.t, err)
			if len(ds) == 0 {
				break
			}
			var acks []store.Outcome
			for i := range ds {
				id := string(ds[i].ID[:])
				require.NotNil(m.t, m.messages[id], "message %x is delivered again", ds[i].ID)
				require.Empty(m.t, wrong(&ds[i], rec.Name == dead))
				require.Equal(m.t, m.messages[id].stays[rec.Name].attempts+1, ds[i].Attempts)
				delete(m.messages, id)
				acks = append(acks, store.Outcome{Lease: ds[i].Lease, Verb: store.Ack})
				due++
			}
			lost, err := l.s.Settle(m.t.Context(), rec.Name, acks)
			require.NoError(m.t, err)
			require.Empty(m.t, lost)
		}
		stats, err := l.s.Stats(m.t.Context(), rec.Name)
		require.NoError(m.t, err)
		require.Equal(m.t, []int64{int64(len(l.found[rec.Name]) - due), stats.Delayed}, []int64{stats.Messages, stats.Messages}, rec.Name)
	}
}
