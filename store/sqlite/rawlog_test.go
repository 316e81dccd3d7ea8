package sqlite_test

import (
	"bufio"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// A rawLog is the least that a durable queue can do: all that is pending is appended to
// one file, by one write and one fdatasync, and callers return after that. Messages are
// in memory too, and what is leased is there alone: by whom, until when, how often. An
// acknowledgement is a record for each message. It is what the benchmarks compare the
// store with.
type rawLog struct {
	file *os.File
	w    *bufio.Writer

	mu      sync.Mutex
	pending []*rawOp
	running bool
	work    sync.WaitGroup

	queue  []rawMessage // ready
	next   int
	seq    uint64
	leases map[uint64]*rawMessage // by seq
	more   chan struct{}          // closed when some are added; nil: nobody waits
}

// A rawOp is a call that waits for the disk: it adds messages or acknowledges some.
type rawOp struct {
	msgs  []store.Message
	acked []uint64
	done  chan struct{}
}

type rawMessage struct {
	store.Message
	seq, token uint64
	sent       int64
	until      time.Time
	attempts   int
}

func newRawLog(tb testing.TB) *rawLog {
	f, err := os.Create(tb.TempDir() + "/log")
	require.NoError(tb, err)
	l := &rawLog{leases: map[uint64]*rawMessage{}, file: f, w: bufio.NewWriterSize(f, 1<<20)}
	tb.Cleanup(func() {
		l.work.Wait()
		require.NoError(tb, f.Close())
	})
	return l
}

func (l *rawLog) submit(o *rawOp) {
	o.done = make(chan struct{})
	l.mu.Lock()
	l.pending = append(l.pending, o)
	if !l.running {
		l.running = true
		l.work.Go(l.commit)
	}
	l.mu.Unlock()
	<-o.done
}

func (l *rawLog) commit() {
	released := 0
	for {
		// As in the store: wait a moment for those who have just been released.
		for start := time.Now(); released > 1 && time.Since(start) < 60*time.Microsecond; runtime.Gosched() {
			l.mu.Lock()
			enough := len(l.pending) >= released
			l.mu.Unlock()
			if enough {
				break
			}
		}
		l.mu.Lock()
		group := l.pending
		l.pending = nil
		l.running = len(group) > 0
		l.mu.Unlock()
		if len(group) == 0 {
			return
		}
		l.write(group)
		released = len(group)
	}
}

func (l *rawLog) write(group []*rawOp) {
	var head [32]byte
	now := time.Now().UnixNano()
	for _, o := range group {
		for i := range o.msgs {
			m := &o.msgs[i]
			copy(head[:], m.ID[:])
			binary.LittleEndian.PutUint64(head[16:], uint64(now))
			binary.LittleEndian.PutUint64(head[24:], uint64(len(m.Body)))
			_, _ = l.w.Write(head[:])
			_, _ = l.w.Write(m.Body)
		}
		for _, seq := range o.acked {
			binary.LittleEndian.PutUint64(head[:], seq)
			_, _ = l.w.Write(head[:16])
		}
	}
	_ = l.w.Flush()
	_ = sqlite.DataSync(l.file)
	l.mu.Lock()
	for _, o := range group {
		for _, m := range o.msgs {
			m.Body = append([]byte(nil), m.Body...)
			l.seq++
			l.queue = append(l.queue, rawMessage{Message: m, seq: l.seq, sent: now})
		}
	}
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	l.mu.Unlock()
	for _, o := range group {
		close(o.done)
	}
}

func (l *rawLog) send(msgs []store.Message) { l.submit(&rawOp{msgs: msgs}) }

// A rawConsumer is one that leases from the log.
type rawConsumer struct {
	*rawLog
	held []uint64
}

func (c *rawConsumer) lease(n int) int {
	l := c.rawLog
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == len(l.queue) {
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-time.After(leaseWait):
		}
		l.mu.Lock()
	}
	n = min(n, len(l.queue)-l.next)
	c.held = c.held[:0]
	until := time.Now().Add(time.Hour)
	for i := l.next; i < l.next+n; i++ {
		m := l.queue[i]
		m.token, m.until = rand.Uint64(), until
		m.attempts++
		l.leases[m.seq] = &m
		c.held = append(c.held, m.seq)
	}
	l.next += n
	if l.next == len(l.queue) {
		l.queue, l.next = l.queue[:0], 0
	}
	return n
}

func (c *rawConsumer) ack(int) {
	c.mu.Lock()
	for _, seq := range c.held {
		delete(c.leases, seq)
	}
	c.mu.Unlock()
	c.submit(&rawOp{acked: c.held})
}
