package wranglerconfig

import (
	"regexp"
	"sort"
	"strconv"
)

// kind is the type of a value.
type kind int

const (
	object kind = iota
	array
	text
	number
	boolean
	null
	date // of TOML only
)

// String is the kind in a sentence.
func (k kind) String() string {
	return [...]string{"an object", "an array", "a string", "a number", "a boolean", "null", "a date"}[k]
}

// A value is what a file has at one place, whatever its format.
type value struct {
	kind     kind
	line     int    // 1 first
	text     string // of a string, what it says; of a number or a boolean, how it is written
	number   float64
	members  []member // of an object
	elements []*value // of an array
}

// A member is a key of an object and what it has.
type member struct {
	name  string
	line  int
	value *value
}

// get returns what an object has under a name, nil if nothing.
func (v *value) get(name string) *value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// quoted is a value as a problem cites it, whatever its length.
func (v *value) quoted() string {
	switch v.kind {
	case text:
		return quote(v.text)
	case number, boolean:
		return v.text
	}
	return v.kind.String()
}

// quote cites a text of the file: short, and on one line.
func quote(s string) string {
	const longest = 80
	if len(s) > longest {
		return strconv.Quote(s[:longest]) + "…"
	}
	return strconv.Quote(s)
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// bare is a key as a path has it: quoted if it could be taken for something else.
func bare(key string) string {
	if bareKey.MatchString(key) {
		return key
	}
	return quote(key)
}

// newlines finds the line of an offset.
type newlines []int

func newlinesOf(data []byte) newlines {
	var n newlines
	for i, c := range data {
		if c == '\n' {
			n = append(n, i)
		}
	}
	return n
}

func (n newlines) line(offset int) int { return 1 + sort.SearchInts(n, offset) }
