package graphqlapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

const (
	typeName    = "__typename"
	maxTokens   = 4000
	maxDatasets = 10
	// maxSelections bounds the selections that are looked at, fragments wherever they are
	// spread: a few tokens could spread them a million times.
	maxSelections = 10_000
	// maxCells bounds the values of all groups of a query.
	maxCells = 500_000
)

// A query is one operation with its variables.
type query struct {
	fragments ast.FragmentDefinitionList
	vars      map[string]any

	// What there was so far, against the limits.
	datasets, selections, cells int
	minutes                     int // of queues that were looked at
}

// A selected field, merged from all places where it is selected under one name.
type selected struct {
	*ast.Field
	under ast.SelectionSet
}

// answer parses a request and answers it, with the JSON of its data.
func (h *handler) answer(ctx context.Context, req *request) ([]byte, error) {
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
	data, err := q.object("Query", op.SelectionSet, func(f *selected) (any, error) {
		if f.Name != "viewer" {
			return nil, unknownField(f, "Query")
		}
		return q.object("viewer", f.under, func(f *selected) (any, error) { return h.accounts(ctx, q, f) })
	})
	if err != nil {
		return nil, err
	}
	return encode(ctx, data)
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
