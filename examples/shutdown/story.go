package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// A story prints what happens, and when.
type story struct {
	mu    sync.Mutex
	w     io.Writer
	began time.Time
}

func (s *story) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s, format+"\n", args...) // nobody to tell
}

// Write puts the time before a line.
func (s *story) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := fmt.Fprintf(s.w, "%5.1fs  %s", time.Since(s.began).Seconds(), line)
	return len(line), err
}

// logger makes the broker's log a part of the story.
func (s *story) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{} // the line has one
		}
		return a
	}}))
}
