package graphqlapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

const (
	// maxLeaves bounds the values that are selected of a group: each may be there many
	// times, under other names.
	maxLeaves = 64
	// maxOrders bounds how much two groups are compared by.
	maxOrders = 16
)

// A grouping adds records up to groups.
type grouping struct {
	dataset *dataset
	columns []column
	leaves  int      // how many values a group has
	dims    []string // names of dimensions that are selected
	orders  []order
	groups  map[string]*group
}

// A column is a field of a group: count, or one with fields below.
type column struct {
	key  string // in the result
	name string
	sub  []sub
}

type sub struct{ key, name string }

// An order is one of orderBy.
type order struct {
	dim        int // index of dims; -1: none
	aggregator string
	measure    int
	descending bool
}

// A group is what records with the same dimensions add up to.
type group struct {
	dims  []string
	count float64
	sums  [measures]float64
	of    [measures]float64 // the weights
	most  [measures]float64
}

// selectFields takes over what is selected.
func (g *grouping) selectFields(q *query, f *selected) error {
	list, err := q.fields(f.under)
	if err != nil {
		return err
	}
	for _, f := range list {
		c := column{key: f.Alias, name: f.Name}
		switch {
		case f.Name == "count", f.Name == typeName:
			_, err = leaf(f, nil)
		case f.Name == "dimensions", g.dataset.fields[f.Name] != nil:
			c.sub, err = g.selectBelow(q, f)
		default:
			err = unknownField(f, "a group")
		}
		if err != nil {
			return err
		}
		if g.leaves += max(len(c.sub), 1); g.leaves > maxLeaves {
			return gqlerror.ErrorPosf(f.Position, "a dataset has more than %d selected values", maxLeaves)
		}
		g.columns = append(g.columns, c)
	}
	if len(list) == 0 {
		return gqlerror.ErrorPosf(f.Position, "%s needs a selection of fields", f.Name)
	}
	return nil
}

// selectBelow takes over what is selected of dimensions or an aggregation.
func (g *grouping) selectBelow(q *query, f *selected) (subs []sub, err error) {
	list, err := q.fields(f.under)
	if err != nil {
		return nil, err
	}
	for _, below := range list {
		_, known := g.dataset.fields[f.Name][below.Name]
		if f.Name == "dimensions" {
			if _, known = g.dataset.dimensions[below.Name]; known && !slices.Contains(g.dims, below.Name) {
				g.dims = append(g.dims, below.Name)
			}
		}
		if !known && below.Name != typeName {
			return nil, unknownField(below, f.Name)
		}
		if _, err := leaf(below, nil); err != nil {
			return nil, err
		}
		subs = append(subs, sub{below.Alias, below.Name})
	}
	if len(subs) == 0 {
		return nil, gqlerror.ErrorPosf(f.Position, "%s needs a selection of fields", f.Name)
	}
	return subs, nil
}

// orderBy takes over in which order the groups are.
func (g *grouping) orderBy(v any) error {
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) > maxOrders {
		return fmt.Errorf("orderBy has %d values, more than %d", len(list), maxOrders)
	}
	for _, v := range list {
		s, _ := v.(string)
		name, up := strings.CutSuffix(s, "_ASC")
		var o order
		if !up {
			name, o.descending = strings.CutSuffix(s, "_DESC")
		}
		o.dim = slices.Index(g.dims, name)
		aggregator, field, _ := strings.Cut(name, "_")
		measure, known := g.dataset.fields[aggregator][field]
		switch {
		case !up && !o.descending:
			return fmt.Errorf("orderBy %q ends in neither _ASC nor _DESC", clip(s))
		case o.dim >= 0:
		case known:
			o.aggregator, o.measure = aggregator, measure
		case name == "count":
			o.aggregator = "count"
		default:
			return fmt.Errorf("orderBy %q is no selected dimension, count or aggregation", clip(s))
		}
		g.orders = append(g.orders, o)
	}
	return nil
}

// add adds a record.
func (g *grouping) add(r *record) {
	dims := make([]string, len(g.dims))
	for i, name := range g.dims {
		dims[i] = g.dataset.dimensions[name].of(r)
	}
	key := strings.Join(dims, "\x00")
	x := g.groups[key]
	if x == nil {
		x = &group{dims: dims}
		g.groups[key] = x
	}
	x.count += r.count
	for i := range r.sums {
		x.sums[i] += r.sums[i]
		x.of[i] += r.weights[i]
		x.most[i] = max(x.most[i], r.sums[i])
	}
}

// value is an aggregation of a group.
func (x *group) value(aggregator string, measure int) float64 {
	switch aggregator {
	case "count":
		return x.count
	case "max":
		return x.most[measure]
	case "avg":
		if x.of[measure] == 0 {
			return 0
		}
		return x.sums[measure] / x.of[measure]
	}
	return x.sums[measure]
}

// results are the groups in their order, at most so many.
func (g *grouping) results(limit int) []*group {
	list := make([]*group, 0, len(g.groups))
	for _, x := range g.groups {
		list = append(list, x)
	}
	slices.SortFunc(list, g.compare)
	g.groups = nil // those beyond the limit need not be kept until the reply is written
	return slices.Clone(list[:min(limit, len(list))])
}

// compare is by orderBy, and then by the dimensions.
func (g *grouping) compare(a, b *group) int {
	for _, o := range g.orders {
		var c int
		if o.dim >= 0 {
			c = strings.Compare(a.dims[o.dim], b.dims[o.dim])
		} else {
			c = cmp.Compare(a.value(o.aggregator, o.measure), b.value(o.aggregator, o.measure))
		}
		if o.descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return slices.Compare(a.dims, b.dims)
}
