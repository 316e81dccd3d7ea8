package main

import (
	"sync"
	"time"
)

// A frontier knows which URLs were queued lately and which of them are not
// finished. A queue delivers at least once, so all its methods may be called twice
// for one URL.
type frontier struct {
	idle chan struct{} // gets a value when nothing is left
	ttl  time.Duration

	mu     sync.Mutex
	queued map[string]time.Time
	oldest []stamp // when to forget what is in queued, in this order
	open   map[string]bool
}

type stamp struct {
	url string
	at  time.Time
}

func newFrontier(ttl time.Duration) *frontier {
	return &frontier{idle: make(chan struct{}, 1), ttl: ttl, queued: make(map[string]time.Time), open: make(map[string]bool)}
}

// add reports whether the URL is to be queued: not if that was done less than ttl
// ago, or is not finished yet.
func (f *frontier) add(url string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for len(f.oldest) > 0 && now.Sub(f.oldest[0].at) >= f.ttl {
		if old := f.oldest[0]; f.queued[old.url].Equal(old.at) {
			delete(f.queued, old.url)
		}
		f.oldest = f.oldest[1:]
	}
	if _, known := f.queued[url]; known || f.open[url] {
		return false
	}
	f.queued[url], f.open[url] = now, true
	f.oldest = append(f.oldest, stamp{url, now})
	return true
}

// remove takes an add back.
func (f *frontier) remove(url string) {
	f.mu.Lock()
	delete(f.queued, url)
	f.mu.Unlock()
	f.finish(url)
}

// finish says that nothing more comes of the URL.
func (f *frontier) finish(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.open[url] {
		return
	}
	delete(f.open, url)
	if len(f.open) > 0 {
		return
	}
	select {
	case f.idle <- struct{}{}:
	default: // it is known already
	}
}
