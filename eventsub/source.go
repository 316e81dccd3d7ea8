package eventsub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Source is where events come from. As JSON it has the form of the REST API:
// {"type": "workersBuilds.worker", "worker_name": "site"}.
type Source struct {
	Type string
	Args map[string]string // by their names in the REST API, such as worker_name
}

// SourceType describes a kind of source.
type SourceType struct {
	// Name is what Source.Type says: words of letters and digits that begin with a
	// letter, with dots between them, up to 64 bytes.
	Name string
	// Args are what a Source has to have, and Extra what that of an event may have in
	// addition.
	Args, Extra []Arg
	// Events are the names without Name, such as "bucket.created": words of letters,
	// digits and underscores with dots between them. Nil: every well-formed name.
	Events []string
}

// Arg is an argument of a source.
type Arg struct {
	Name string // in subscriptions: lower-case words with underscores, such as worker_name
	Key  string // in messages; "": the same in camel case, such as workerName
}

func (a Arg) key() string {
	if a.Key != "" {
		return a.Key
	}
	var s strings.Builder
	up := false
	for _, c := range a.Name {
		switch {
		case c == '_':
			up = true
			continue
		case up:
			c = unicode.ToUpper(c)
		}
		s.WriteRune(c)
		up = false
	}
	return s.String()
}

// maxArg bounds the bytes of an argument.
const maxArg = 512

// check returns what is wrong with a type that somebody adds.
func (t *SourceType) check() error {
	if !isDotted(t.Name, false) {
		return fmt.Errorf("%w: source type %q is not words of letters and digits with dots between them, up to %d bytes", ErrInvalid, clip(t.Name), maxName)
	}
	if len(t.Events) == 0 && t.Events != nil {
		return fmt.Errorf("%w: source type %q has no events", ErrInvalid, t.Name)
	}
	for _, e := range t.Events {
		if !isDotted(e, true) {
			return fmt.Errorf("%w: event %q of source type %q", ErrInvalid, clip(e), t.Name)
		}
	}
	seen := map[string]bool{"type": true}
	for _, a := range slices.Concat(t.Args, t.Extra) {
		if !isArgName(a.Name) || seen[a.Name] {
			return fmt.Errorf("%w: argument %q of source type %q: its name is taken, or not of lower-case letters, digits and underscores", ErrInvalid, clip(a.Name), t.Name)
		}
		seen[a.Name] = true
	}
	return nil
}

// has reports whether the type has an event.
func (t *SourceType) has(event string) bool {
	if t.Events == nil {
		return isDotted(event, true)
	}
	return slices.Contains(t.Events, event)
}

// checkArgs returns what is wrong with the arguments of a source: all of Args have to be
// there, of extra some may.
func (t *SourceType) checkArgs(args map[string]string, extra []Arg) error {
	known := 0
	for _, a := range t.Args {
		if args[a.Name] == "" {
			return fmt.Errorf("%w: a source of type %s needs %s", ErrInvalid, t.Name, a.Name)
		}
		known++
	}
	for _, a := range extra {
		if _, ok := args[a.Name]; ok {
			known++
		}
	}
	if known < len(args) {
		return fmt.Errorf("%w: a source of type %s has no argument but %s", ErrInvalid, t.Name, argNames(slices.Concat(t.Args, extra)))
	}
	for name, value := range args {
		if len(value) > maxArg || !utf8.ValidString(value) {
			return fmt.Errorf("%w: %s has %d bytes, at most %d of UTF-8 are allowed", ErrInvalid, name, len(value), maxArg)
		}
	}
	return nil
}

func argNames(args []Arg) string {
	names := []string{"type"}
	for _, a := range args {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// inMessage is the source as it is in messages.
func (t *SourceType) inMessage(args map[string]string) map[string]string {
	m := map[string]string{"type": t.Name}
	for _, a := range slices.Concat(t.Args, t.Extra) {
		if v, ok := args[a.Name]; ok {
			m[a.key()] = v
		}
	}
	return m
}

// Equal reports whether both are the same source.
func (s Source) Equal(other Source) bool {
	return s.Type == other.Type && maps.Equal(s.Args, other.Args)
}

// covers reports whether the source of a subscription has nothing that the source of an
// event lacks. That their types fit is known.
func (s Source) covers(args map[string]string) bool {
	for name, value := range s.Args {
		if args[name] != value {
			return false
		}
	}
	return true
}

// MarshalJSON encodes the source as one flat object.
func (s Source) MarshalJSON() ([]byte, error) {
	m := maps.Clone(s.Args)
	if m == nil {
		m = make(map[string]string, 1)
	}
	m["type"] = s.Type
	return json.Marshal(m)
}

// UnmarshalJSON decodes what MarshalJSON encodes: an object of strings, with a type, and
// no key twice.
func (s *Source) UnmarshalJSON(raw []byte) error {
	in := json.NewDecoder(bytes.NewReader(raw))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return errors.New("eventsub: a source is a JSON object")
	}
	m := make(map[string]string)
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return err
		}
		value, err := in.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		text, ok := value.(string)
		if _, twice := m[name]; twice || !ok {
			return fmt.Errorf("eventsub: %q of a source is there twice, or not a string", clip(name))
		}
		m[name] = text
	}
	if _, err := in.Token(); err != nil {
		return err
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errors.New("eventsub: something follows a source")
	}
	s.Type = m["type"]
	if s.Type == "" {
		return errors.New("eventsub: a source has a type")
	}
	delete(m, "type")
	s.Args = nil
	if len(m) > 0 {
		s.Args = m
	}
	return nil
}

// maxName bounds the bytes of names of types and events.
const maxName = 64

// isDotted reports whether s is words with dots between them.
func isDotted(s string, underscores bool) bool {
	if len(s) > maxName {
		return false
	}
	for word := range strings.SplitSeq(s, ".") {
		if word == "" || '0' <= word[0] && word[0] <= '9' {
			return false
		}
		for _, c := range []byte(word) {
			if !isLetterOrDigit(c) && (!underscores || c != '_') {
				return false
			}
		}
	}
	return true
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isArgName(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// clip shortens what somebody else has written, for a message about it.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
