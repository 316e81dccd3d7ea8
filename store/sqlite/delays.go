package sqlite

import (
	"container/heap"
	"time"
)

// delays are the messages that become ready later. Those of the bucket that time is in
// are in a heap; of those in later buckets memory has only the number. When there are too many
// in line already, a bucket that is due stays in the file until they are fewer.
type delays struct {
	heap    waitHeap
	removed map[int64]struct{} // messages in the heap that are gone
	popped  int64              // all that were due then have left the heap
	buckets map[int64]int64    // how many are in the buckets that are in the file alone
	first   int64              // of these buckets, or before it; never: there are none
}

// maxReady is how many messages may be in line before buckets stay in the file.
const maxReady = 1 << 16

func bucketOf(due int64) int64 { return due / int64(bucket) }

// delay counts a message that is due later, and puts it where it belongs. The caller holds mu.
func (q *queue) delay(seq, due, now int64) {
	b := bucketOf(due)
	_, inFile := q.waits.buckets[b]
	switch {
	case inFile || b > bucketOf(now):
		q.waits.add(b, 1)
	case due <= q.waits.popped:
		q.ready.push(place{seq: seq, since: due})
		return
	default:
		heap.Push(&q.waits.heap, wait{due, seq})
	}
	q.delayed++
}

// add adds to the number of messages in a bucket that is in the file alone.
func (d *delays) add(b, n int64) {
	if d.buckets == nil {
		d.buckets = map[int64]int64{}
		d.first = never
	}
	d.buckets[b] += n
	d.first = min(d.first, b)
}

// undelay forgets a message with a due that is gone, though nobody has leased it. The
// caller holds mu.
func (q *queue) undelay(seq, due int64) {
	d := &q.waits
	b := bucketOf(due)
	switch n, inFile := d.buckets[b]; {
	case inFile && n > 1:
		d.buckets[b]--
	case inFile:
		d.unload(b)
	case due <= d.popped:
		return // it was in line, and is skipped there
	default:
		if d.removed == nil {
			d.removed = map[int64]struct{}{}
		}
		d.removed[seq] = struct{}{}
	}
	q.delayed--
}

// unload takes a bucket off the list of those that are in the file alone.
func (d *delays) unload(b int64) {
	delete(d.buckets, b)
	if b > d.first {
		return
	}
	d.first = never
	for b := range d.buckets {
		d.first = min(d.first, b)
	}
}

// popDue puts those that are due in line. The caller holds mu.
func (q *queue) popDue(now int64) {
	d := &q.waits
	for len(d.heap) > 0 && d.heap[0].due <= now {
		w := heap.Pop(&d.heap).(wait)
		if _, gone := d.removed[w.seq]; gone {
			delete(d.removed, w.seq)
			continue
		}
		q.delayed--
		q.ready.push(place{seq: w.seq, since: w.due})
	}
	d.popped = max(d.popped, now)
}

// mustLoad reports whether a bucket has to be read from the file.
func (q *queue) mustLoad(now int64) bool {
	return len(q.waits.buckets) > 0 && q.waits.first <= bucketOf(now) && q.ready.len() < maxReady
}

// behind reports whether messages are due that count as delayed.
func (q *queue) behind(now int64) bool {
	return len(q.waits.buckets) > 0 && q.waits.first <= bucketOf(now)
}

// nextDue is when something happens to a delayed message.
func (q *queue) nextDue() int64 {
	next := int64(never)
	if len(q.waits.heap) > 0 {
		next = q.waits.heap[0].due
	}
	if len(q.waits.buckets) > 0 && q.ready.len() < maxReady {
		next = min(next, q.waits.first*int64(bucket))
	}
	return next
}

// A wait is a message in the heap.
type wait struct{ due, seq int64 }

type waitHeap []wait

func (h waitHeap) Len() int { return len(h) }
func (h waitHeap) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}
func (h waitHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *waitHeap) Push(x any)   { *h = append(*h, x.(wait)) }
func (h *waitHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	*h = old[:len(old)-1]
	return w
}

// until is the time from now to at.
func until(at, now int64) time.Duration {
	if at == never {
		return never
	}
	return time.Duration(max(at-now, 0))
}
