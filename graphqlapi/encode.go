package graphqlapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// maxReply bounds the bytes of a reply: the names of its fields are the caller's, and so
// may be long.
const maxReply = 32 << 20

// A result is an object whose fields have an order.
type result struct {
	keys   []string
	values []any
}

// rows are the groups of a dataset. They become objects only as they are written.
type rows struct {
	*grouping
	list []*group
}

// encode writes a result as JSON. All of it goes to the end of one buffer: encoding/json
// would check and copy again, level by level, what was written for an object.
func encode(ctx context.Context, r result) ([]byte, error) {
	return appendValue(ctx, nil, r)
}

func appendValue(ctx context.Context, b []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case string:
		return appendString(b, v), nil
	case result:
		b = append(b, '{')
		for i, key := range v.keys {
			if b, err = appendValue(ctx, appendKey(b, i, key), v.values[i]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if b, err = appendValue(ctx, appendComma(b, i), x); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case rows:
		return v.append(ctx, b)
	}
	return nil, fmt.Errorf("graphqlapi: no JSON for a %T", v)
}

func (r rows) append(ctx context.Context, b []byte) ([]byte, error) {
	b = append(b, '[')
	for i, x := range r.list {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		b = r.appendGroup(appendComma(b, i), x)
		if len(b) > maxReply {
			return nil, gqlerror.Errorf(
				"the reply has more than %d bytes: set limit, or select less", maxReply)
		}
	}
	return append(b, ']'), nil
}

func (g *grouping) appendGroup(b []byte, x *group) []byte {
	b = append(b, '{')
	for i, c := range g.columns {
		b = appendKey(b, i, c.key)
		switch c.name {
		case "count":
			b = appendNumber(b, math.Round(x.count))
			continue
		case typeName:
			b = appendString(b, "group")
			continue
		}
		b = append(b, '{')
		for k, s := range c.sub {
			b = appendKey(b, k, s.key)
			switch {
			case s.name == typeName:
				b = appendString(b, c.name)
			case c.name == "dimensions":
				b = appendString(b, x.dims[slices.Index(g.dims, s.name)])
			default:
				b = appendNumber(b, x.value(c.name, g.dataset.fields[c.name][s.name]))
			}
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

func appendComma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

// appendKey writes the name of a field. The parser lets only letters, digits and _ be in
// it.
func appendKey(b []byte, i int, key string) []byte {
	b = append(appendComma(b, i), '"')
	b = append(b, key...)
	return append(b, '"', ':')
}

func appendString(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // of a string it cannot fail
	return append(b, text...)
}

// appendNumber writes one as encoding/json does, and what JSON has no number for as null.
func appendNumber(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}
