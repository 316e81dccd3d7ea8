package graphqlapi

import (
	"fmt"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// fields are those of a selection, with its fragments, each name once.
func (q *query) fields(set ast.SelectionSet) ([]*selected, error) {
	var list []*selected
	at := make(map[string]int)
	seen := make(map[string]bool) // fragments: each counts once, so a cycle ends
	var collect func(set ast.SelectionSet) error
	collect = func(set ast.SelectionSet) error {
		for _, s := range set {
			if q.selections++; q.selections > maxSelections {
				return gqlerror.ErrorPosf(s.GetPosition(),
					"the query has more than %d fields, with those of its fragments", maxSelections)
			}
			var directives ast.DirectiveList
			var inside ast.SelectionSet
			switch s := s.(type) {
			case *ast.Field:
				if skip, err := q.skipped(s.Directives); skip || err != nil {
					if err != nil {
						return err
					}
					continue
				}
				if i, ok := at[s.Alias]; ok {
					if list[i].Name != s.Name || !sameArguments(list[i].Field, s) {
						return gqlerror.ErrorPosf(s.Position, "%s is selected twice, as different things", s.Alias)
					}
					list[i].under = append(list[i].under, s.SelectionSet...)
					continue
				}
				at[s.Alias] = len(list)
				list = append(list, &selected{s, append(ast.SelectionSet(nil), s.SelectionSet...)})
				continue
			case *ast.InlineFragment:
				directives, inside = s.Directives, s.SelectionSet
			case *ast.FragmentSpread:
				f := q.fragments.ForName(s.Name)
				if f == nil {
					return gqlerror.ErrorPosf(s.Position, "there is no fragment %s", s.Name)
				}
				if seen[s.Name] {
					continue
				}
				seen[s.Name] = true
				directives, inside = s.Directives, f.SelectionSet
			}
			skip, err := q.skipped(directives)
			if err == nil && !skip {
				err = collect(inside)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return list, collect(set)
}

func sameArguments(a, b *ast.Field) bool {
	text := func(f *ast.Field) (s string) {
		for _, arg := range f.Arguments {
			s += arg.Name + ":" + arg.Value.String() + ","
		}
		return s
	}
	return text(a) == text(b)
}

// skipped reports whether @skip or @include leaves a selection out.
func (q *query) skipped(list ast.DirectiveList) (bool, error) {
	for _, d := range list {
		arg := d.Arguments.ForName("if")
		if d.Name != "skip" && d.Name != "include" || arg == nil {
			return false, gqlerror.ErrorPosf(d.Position, "unknown directive @%s, or one without its argument", d.Name)
		}
		v, err := q.value(arg.Value)
		if err != nil {
			return false, err
		}
		if on, ok := v.(bool); !ok {
			return false, gqlerror.ErrorPosf(d.Position, "the argument of @%s is true or false", d.Name)
		} else if on == (d.Name == "skip") {
			return true, nil
		}
	}
	return false, nil
}

// arguments returns those of a field, which may have the names that are given.
func (q *query) arguments(f *selected, names ...string) (map[string]any, error) {
	args := make(map[string]any)
	for _, a := range f.Arguments {
		known := false
		for _, n := range names {
			known = known || n == a.Name
		}
		if !known {
			return nil, gqlerror.ErrorPosf(a.Position, "%s has no argument %s", f.Name, a.Name)
		}
		v, err := q.value(a.Value)
		if err != nil {
			return nil, err
		}
		args[a.Name] = v
	}
	return args, nil
}

// leaf checks that a field that is a value has nothing selected below it.
func leaf(f *selected, v any) (any, error) {
	if len(f.under) > 0 {
		return nil, gqlerror.ErrorPosf(f.Position, "%s has no fields", f.Name)
	}
	return v, nil
}

func unknownField(f *selected, typ string) error {
	return gqlerror.ErrorPosf(f.Position, "unknown field %s of %s", strconv.Quote(clip(f.Name)), typ)
}

// clip shortens what somebody else has written.
func clip(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%.80s…", s)
	}
	return s
}
