package graphqlapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A condition is a filter: all of its tests hold, and all of the conditions below, and of
// each list of any one.
type condition struct {
	tests []test
	any   [][]*condition
}

// A test compares a dimension.
type test struct {
	dimension
	op    string
	name  string
	texts []string    // for text, one for all but in and notin
	times []time.Time // for the others
}

// The comparisons, as they stand at the end of a dimension's name. "": is equal.
var comparisons = []string{"_geq", "_leq", "_gt", "_lt", "_neq", "_notin", "_in"}

// Every record is held against a filter, so these bound what one record costs.
const (
	maxDepth  = 20  // how deep conditions are within each other
	maxValues = 100 // of one _in or _notin
	maxTests  = 250 // values and conditions of a filter, with all those within it
)

// A filterer makes the conditions of one filter.
type filterer struct {
	*dataset
	tests int
}

// filter makes a condition of an argument.
func (d *dataset) filter(v any) (*condition, error) {
	return (&filterer{dataset: d}).condition(v, 0)
}

// spend counts what a filter has.
func (d *filterer) spend(n int) error {
	if d.tests += n; d.tests > maxTests {
		return fmt.Errorf("a filter has more than %d values and filters within it", maxTests)
	}
	return nil
}

func (d *filterer) condition(v any, depth int) (*condition, error) {
	c := &condition{}
	if v == nil {
		return c, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a filter is an object")
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("filters are within each other to a depth of %d", maxDepth)
	}
	if err := d.spend(1); err != nil {
		return nil, err
	}
	for key, v := range m {
		if key == "AND" || key == "OR" {
			list, ok := v.([]any)
			if !ok {
				list = []any{v} // as GraphQL has it
			}
			var below []*condition
			for _, v := range list {
				x, err := d.condition(v, depth+1)
				if err != nil {
					return nil, err
				}
				if key == "AND" {
					c.any = append(c.any, []*condition{x})
				} else {
					below = append(below, x)
				}
			}
			if len(below) > 0 {
				c.any = append(c.any, below)
			}
			continue
		}
		t, err := d.test(key, v)
		if err != nil {
			return nil, err
		}
		c.tests = append(c.tests, t)
	}
	return c, nil
}

// test makes one of a key and a value.
func (d *filterer) test(key string, v any) (test, error) {
	t := test{name: key}
	for _, op := range comparisons {
		if name, ok := strings.CutSuffix(key, op); ok {
			t.name, t.op = name, op
			break
		}
	}
	var known bool
	if t.dimension, known = d.dimensions[t.name]; !known {
		return t, fmt.Errorf("the dataset cannot be filtered by %q", clip(key))
	}
	values := []any{v}
	if t.op == "_in" || t.op == "_notin" {
		list, ok := v.([]any)
		if !ok {
			return t, fmt.Errorf("%s wants a list", key)
		}
		if len(list) > maxValues {
			return t, fmt.Errorf("%s has %d values, more than %d", key, len(list), maxValues)
		}
		values = list
	}
	if err := d.spend(len(values)); err != nil {
		return t, err
	}
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			if n, isNumber := v.(json.Number); isNumber {
				s = n.String()
			}
			return t, fmt.Errorf("%s wants a string, not %q", key, clip(s))
		}
		if t.kind == text {
			t.texts = append(t.texts, s)
			continue
		}
		at, err := parseTime(s)
		if err != nil {
			return t, fmt.Errorf("%s wants a time such as 2026-11-30T12:00:00Z or a day such as 2026-11-30, not %q", key, clip(s))
		}
		t.times = append(t.times, at)
	}
	return t, nil
}

func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	return time.Parse(dayFormat, s)
}

// holds reports whether a record fits.
func (c *condition) holds(r *record) bool {
	for i := range c.tests {
		if !c.tests[i].holds(r) {
			return false
		}
	}
	for _, list := range c.any {
		if !slices.ContainsFunc(list, func(c *condition) bool { return c.holds(r) }) {
			return false
		}
	}
	return true
}

// excludesQueue reports whether no record of a queue can fit, as far as the tests of the
// queue itself tell.
func (c *condition) excludesQueue(id string) bool {
	r := record{queue: id}
	for i := range c.tests {
		if t := &c.tests[i]; (t.name == "queueId" || t.name == "queueID") && !t.holds(&r) {
			return true
		}
	}
	for _, list := range c.any {
		if !slices.ContainsFunc(list, func(c *condition) bool { return !c.excludesQueue(id) }) {
			return true
		}
	}
	return false
}

func (t *test) holds(r *record) bool {
	if t.kind == text {
		return t.compareText(t.of(r))
	}
	from := t.floor(r.at)
	last := from
	if t.name == "datetime" {
		last = from.Add(time.Minute - 1) // any of the minute is enough
	}
	equal := func(at time.Time) bool { return !at.Before(from) && !at.After(last) }
	switch t.op {
	case "_geq":
		return !last.Before(t.times[0])
	case "_gt":
		return last.After(t.times[0])
	case "_leq":
		return !from.After(t.times[0])
	case "_lt":
		return from.Before(t.times[0])
	case "_neq":
		return !equal(t.times[0])
	case "_notin":
		return !slices.ContainsFunc(t.times, equal)
	}
	return slices.ContainsFunc(t.times, equal) // one, or those of in
}

func (t *test) compareText(s string) bool {
	switch t.op {
	case "_geq":
		return s >= t.texts[0]
	case "_gt":
		return s > t.texts[0]
	case "_leq":
		return s <= t.texts[0]
	case "_lt":
		return s < t.texts[0]
	case "_neq":
		return s != t.texts[0]
	case "_notin":
		return !slices.Contains(t.texts, s)
	}
	return slices.Contains(t.texts, s)
}
