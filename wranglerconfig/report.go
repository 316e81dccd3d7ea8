package wranglerconfig

import (
	"fmt"
	"strings"
)

// A Report tells what applying a configuration changes, or has changed.
type Report struct {
	// Script is the name that the handler has to be registered under.
	Script string
	// Changes are in the order in which they are made. None: all was as it should be.
	Changes []Change
	// Unlisted are queues that the script consumes although the configuration does not
	// say so. They are left alone, as wrangler leaves them.
	Unlisted []string
	// Warnings are those of the configuration.
	Warnings []Problem
}

// ChangeKind is what a change does.
type ChangeKind string

// The kinds of changes.
const (
	CreateQueue    ChangeKind = "create queue"
	AttachConsumer ChangeKind = "attach consumer"
	UpdateConsumer ChangeKind = "update consumer"
)

// A Change is one call of the broker's.
type Change struct {
	Kind   ChangeKind
	Queue  string
	Fields []FieldChange // of UpdateConsumer: what differs
}

// A FieldChange is one setting of a consumer, by its key in the file and in its unit.
type FieldChange struct{ Key, From, To string }

// String is the change in a line: "update consumer of orders: max_retries 3 -> 5".
func (c Change) String() string {
	if c.Kind == CreateQueue {
		return string(c.Kind) + " " + c.Queue
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s", c.Kind, c.Queue)
	for i, f := range c.Fields {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s %s -> %s", sep, f.Key, f.From, f.To)
	}
	return b.String()
}

// String has a line for each change, unlisted queue and warning.
func (r Report) String() string {
	var lines []string
	for _, c := range r.Changes {
		lines = append(lines, c.String())
	}
	if len(lines) == 0 {
		lines = append(lines, "no changes")
	}
	for _, q := range r.Unlisted {
		lines = append(lines, "unlisted: "+r.Script+" still consumes "+q)
	}
	for _, w := range r.Warnings {
		lines = append(lines, "warning: "+w.String())
	}
	return strings.Join(lines, "\n")
}
