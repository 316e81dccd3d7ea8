package graphqlapi

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// accounts answers viewer.accounts, which is a list of the one that is meant.
func (h *handler) accounts(ctx context.Context, q *query, f *selected) (any, error) {
	if f.Name != "accounts" {
		return nil, unknownField(f, "viewer")
	}
	args, err := q.arguments(f, "filter", "limit", "orderBy")
	if err != nil {
		return nil, err
	}
	account := h.account
	if filter, ok := args["filter"].(map[string]any); ok {
		for key, v := range filter {
			tag, ok := v.(string)
			if key != "accountTag" || !ok {
				return nil, gqlerror.ErrorPosf(f.Position, "accounts are filtered by an accountTag, a string")
			}
			if h.account != "" && tag != h.account {
				return nil, &gqlerror.Error{
					Message: "not authorized for that account", Extensions: map[string]any{"code": "authz"},
				}
			}
			account = tag
		}
	}
	r, err := q.object("account", f.under, func(f *selected) (any, error) {
		if f.Name == "accountTag" {
			return leaf(f, account)
		}
		d := datasets[f.Name]
		if d == nil {
			return nil, unknownField(f, "account")
		}
		if q.datasets++; q.datasets > maxDatasets {
			return nil, gqlerror.ErrorPosf(f.Position, "the query has more than %d datasets", maxDatasets)
		}
		return h.dataset(ctx, q, d, f)
	})
	if err != nil {
		return nil, err
	}
	return []any{r}, nil
}

// The most groups that a dataset returns, and how many it returns unless the query says.
const maxLimit = 10_000

// dataset answers one.
func (h *handler) dataset(ctx context.Context, q *query, d *dataset, f *selected) (any, error) {
	args, err := q.arguments(f, "filter", "limit", "orderBy")
	if err != nil {
		return nil, err
	}
	limit := maxLimit
	if v, given := args["limit"]; given && v != nil {
		number, _ := v.(json.Number)
		if limit, err = strconv.Atoi(number.String()); err != nil || limit < 1 || limit > maxLimit {
			return nil, gqlerror.ErrorPosf(f.Position, "limit is a number from 1 to %d", maxLimit)
		}
	}
	where, err := d.filter(args["filter"])
	if err != nil {
		return nil, gqlerror.WrapPos(f.Position, err)
	}
	g := &grouping{dataset: d, groups: make(map[string]*group)}
	if err := g.selectFields(q, f); err != nil {
		return nil, err
	}
	if err := g.orderBy(args["orderBy"]); err != nil {
		return nil, gqlerror.WrapPos(f.Position, err)
	}
	if err := h.each(ctx, q, d, where, g.add); err != nil {
		return nil, err
	}
	list := g.results(limit)
	if q.cells += len(list) * g.leaves; q.cells > maxCells {
		return nil, gqlerror.ErrorPosf(f.Position,
			"the query has more than %d values in its groups: set limit, or select less", maxCells)
	}
	return rows{g, list}, nil
}
