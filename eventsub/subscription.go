package eventsub

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/inproq/inproq"
)

// Subscription sends events of a source to a queue.
type Subscription struct {
	ID         string // 32 lower-case hex digits
	Name       string
	Enabled    bool // else it gets no events
	Source     Source
	Queue      string // the destination
	QueueID    string
	Events     []string // names without the source's type
	CreatedAt  time.Time
	ModifiedAt time.Time
}

// Spec is what a Subscription is made of.
type Spec struct {
	Name     string // up to 255 bytes without control characters; "": the queue's name and the source's type
	Disabled bool
	Source   Source
	Queue    string   // the destination's name
	Events   []string // 1 to 100, none twice
}

// Update is a change of a subscription. What is nil stays as it is; the source always
// does.
type Update struct {
	Name    *string
	Enabled *bool
	Queue   *string // another destination
	Events  []string
}

// Bounds.
const (
	maxPerQueue = 100
	maxEvents   = 100
	maxLabel    = 255
)

// annotationPrefix begins the keys of annotations that are subscriptions. Their ids
// follow.
const annotationPrefix = "eventsub/"

// stored is a subscription as the annotation has it.
type stored struct {
	Name     string    `json:"name"`
	Enabled  bool      `json:"enabled"`
	Source   Source    `json:"source"`
	Events   []string  `json:"events"`
	Created  time.Time `json:"created_at"`
	Modified time.Time `json:"modified_at"`
}

// annotation encodes a subscription.
func (s *Subscription) annotation() (key, value string) {
	raw, _ := json.Marshal(stored{s.Name, s.Enabled, s.Source, s.Events, s.CreatedAt, s.ModifiedAt}) // cannot fail
	return annotationPrefix + s.ID, string(raw)
}

// parseAnnotation decodes an annotation of a queue. It reports false for one that is no
// subscription.
func parseAnnotation(q *inproq.QueueInfo, key, value string) (s *Subscription, ok bool, err error) {
	id, ok := strings.CutPrefix(key, annotationPrefix)
	if !ok {
		return nil, false, nil
	}
	var x stored
	err = json.Unmarshal([]byte(value), &x)
	if err == nil && (!isID(id) || x.Source.Type == "" || len(x.Events) == 0) {
		err = fmt.Errorf("%w: it has no source, no events, or no id", ErrInvalid)
	}
	if err != nil {
		return nil, true, fmt.Errorf("eventsub: annotation %q of queue %q: %w", clip(key), q.Name, err)
	}
	return &Subscription{
		ID: id, Name: x.Name, Enabled: x.Enabled, Source: x.Source, Queue: q.Name, QueueID: q.ID,
		Events: x.Events, CreatedAt: x.Created, ModifiedAt: x.Modified,
	}, true, nil
}

// clone returns a copy that shares nothing that its owner may write to.
func (s *Subscription) clone() Subscription {
	c := *s
	c.Events = slices.Clone(s.Events)
	c.Source.Args = maps.Clone(s.Source.Args)
	return c
}

// newer reports whether s is what has become of other, which has the same ID in another
// queue.
func (s *Subscription) newer(other *Subscription) bool {
	return cmp.Or(s.ModifiedAt.Compare(other.ModifiedAt), strings.Compare(s.Queue, other.Queue)) > 0
}

// check returns what is wrong with a subscription to a source of a type.
func (s *Subscription) check(t *SourceType) error {
	if len(s.Name) > maxLabel || !utf8.ValidString(s.Name) || strings.ContainsFunc(s.Name, unicode.IsControl) {
		return fmt.Errorf("%w: name %q: up to %d bytes of UTF-8 without control characters are allowed", ErrInvalid, clip(s.Name), maxLabel)
	}
	if err := t.checkArgs(s.Source.Args, nil); err != nil {
		return err
	}
	if n := len(s.Events); n == 0 || n > maxEvents {
		return fmt.Errorf("%w: %d events, allowed: 1 to %d", ErrInvalid, n, maxEvents)
	}
	var unknown []string
	for i, e := range s.Events {
		if !t.has(e) {
			unknown = append(unknown, clip(e))
		} else if slices.Contains(s.Events[:i], e) {
			return fmt.Errorf("%w: event %s is there twice", ErrInvalid, e)
		}
	}
	if len(unknown) > 0 {
		err := fmt.Errorf("%w for source %s: %q", ErrUnknownEvents, t.Name, unknown)
		if t.Events != nil {
			err = fmt.Errorf("%w; known: %s", err, strings.Join(t.Events, ", "))
		}
		return err
	}
	return nil
}

// isID reports whether s has the form of Cloudflare's ids.
func isID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}
