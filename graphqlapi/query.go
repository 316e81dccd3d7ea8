package graphqlapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

const (
	typeName    = "__typename"
	maxTokens   = 4000
	maxDatasets = 10
)

// A query is one operation with its variables.
type query struct {
	fragments ast.FragmentDefinitionList
	vars      map[string]any
	datasets  int // that were answered so far
	minutes   int // of queues that were looked at
}

// A selected field, merged from all places where it is selected under one name.
type selected struct {
	*ast.Field
	under ast.SelectionSet
}

// answer parses a request and answers it.
func (h *handler) answer(ctx context.Context, req *request) (any, error) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: req.Query}, maxTokens)
	if err != nil {
		return nil, gqlerror.WrapIfUnwrapped(err)
	}
	var op *ast.OperationDefinition
	for _, o := range doc.Operations {
		if req.OperationName == "" || o.Name == req.OperationName {
			if op != nil {
				return nil, gqlerror.Errorf("the request has several operations that could be meant: operationName tells which")
			}
			op = o
		}
	}
	switch {
	case op == nil:
		return nil, gqlerror.Errorf("the request has no operation, or none with that operationName")
	case op.Operation != ast.Query:
		return nil, gqlerror.ErrorPosf(op.Position, "only queries are answered")
	}
	q := &query{fragments: doc.Fragments}
	if q.vars, err = variables(op.VariableDefinitions, req.Variables); err != nil {
		return nil, err
	}
	return q.object("Query", op.SelectionSet, func(f *selected) (any, error) {
		if f.Name != "viewer" {
			return nil, unknownField(f, "Query")
		}
		return q.object("viewer", f.under, func(f *selected) (any, error) { return h.accounts(ctx, q, f) })
	})
}

// variables decodes the values of those that an operation declares. Their types are not
// looked at: the field that a value is for knows better what it wants, and Cloudflare's
// own examples declare some that are not those of the fields.
func variables(declared ast.VariableDefinitionList, values map[string]json.RawMessage) (map[string]any, error) {
	vars := make(map[string]any, len(declared))
	none := &query{}
	for _, d := range declared {
		raw, given := values[d.Variable]
		switch {
		case given:
			in := json.NewDecoder(bytes.NewReader(raw))
			in.UseNumber()
			var v any
			if err := in.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
				return nil, gqlerror.ErrorPosf(d.Position, "variable $%s is malformed", d.Variable)
			}
			if v == nil && d.Type.NonNull {
				return nil, gqlerror.ErrorPosf(d.Position, "variable $%s of type %s may not be null", d.Variable, d.Type)
			}
			vars[d.Variable] = v
		case d.DefaultValue != nil:
			v, err := none.value(d.DefaultValue)
			if err != nil {
				return nil, err
			}
			vars[d.Variable] = v
		case d.Type.NonNull:
			return nil, gqlerror.ErrorPosf(d.Position, "variable $%s of type %s is required", d.Variable, d.Type)
		default:
			vars[d.Variable] = nil
		}
	}
	return vars, nil
}

// value returns what an argument says: nil, a bool, a string, a json.Number, a []any or
// a map[string]any.
func (q *query) value(v *ast.Value) (any, error) {
	switch v.Kind {
	case ast.Variable:
		x, declared := q.vars[v.Raw]
		if !declared {
			return nil, gqlerror.ErrorPosf(v.Position, "variable $%s is not declared", v.Raw)
		}
		return x, nil
	case ast.NullValue:
		return nil, nil
	case ast.BooleanValue:
		return v.Raw == "true", nil
	case ast.IntValue, ast.FloatValue:
		return json.Number(v.Raw), nil
	case ast.ListValue:
		list := make([]any, 0, len(v.Children))
		for _, c := range v.Children {
			x, err := q.value(c.Value)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		return list, nil
	case ast.ObjectValue:
		m := make(map[string]any, len(v.Children))
		for _, c := range v.Children {
			if _, twice := m[c.Name]; twice {
				return nil, gqlerror.ErrorPosf(v.Position, "%s is there twice", c.Name)
			}
			x, err := q.value(c.Value)
			if err != nil {
				return nil, err
			}
			m[c.Name] = x
		}
		return m, nil
	}
	return v.Raw, nil // strings and enums
}

// object answers a selection of fields, in their order.
func (q *query) object(typ string, set ast.SelectionSet, resolve func(*selected) (any, error)) (result, error) {
	fields, err := q.fields(set)
	if err != nil {
		return result{}, err
	}
	if len(fields) == 0 {
		return result{}, gqlerror.Errorf("%s needs a selection of fields", typ)
	}
	var r result
	for _, f := range fields {
		var v any = typ
		if f.Name != typeName {
			if v, err = resolve(f); err != nil {
				return result{}, err
			}
		}
		r.keys, r.values = append(r.keys, f.Alias), append(r.values, v)
	}
	return r, nil
}

// fields are those of a selection, with its fragments, each name once.
func (q *query) fields(set ast.SelectionSet) ([]*selected, error) {
	var list []*selected
	at := make(map[string]int)
	seen := make(map[string]bool) // fragments: each counts once, so a cycle ends
	var collect func(set ast.SelectionSet) error
	collect = func(set ast.SelectionSet) error {
		for _, s := range set {
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

// A result is an object whose fields have an order.
type result struct {
	keys   []string
	values []any
}

// MarshalJSON encodes it in that order.
func (r result) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range r.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(r.keys[i])
		value, err := json.Marshal(r.values[i])
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
