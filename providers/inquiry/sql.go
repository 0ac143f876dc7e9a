package inquiry

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/zclconf/go-cty/cty"

	"pleat/migrations/conn"
	"pleat/spec"
)

// row is the first row of a query, which can write nothing.
func (p *Provider) row(ctx context.Context, q *spec.Inquiry) (a answer, err error) {
	url, ok := p.options.DatabaseURL(q.Database)
	if !ok {
		return answer{}, fmt.Errorf("the spec has no database %s", q.Database)
	}
	c, err := conn.Open(ctx, url, conn.Options{Application: "pleat", ReadOnly: true})
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx), c)) }()
	rows, err := c.Query(ctx, q.SQL)
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return answer{}, err
		}
		return answer{}, fmt.Errorf("%w: the query gives no row", ErrNoData)
	}
	a = answer{values: map[string]cty.Value{}, good: true}
	values, err := rows.Values()
	if err != nil {
		return answer{}, err
	}
	for n, field := range rows.FieldDescriptions() {
		v := valueOf(values[n])
		if n == 0 {
			a.values["value"] = v
		}
		a.values[field.Name] = v
	}
	rows.Close()
	return a, rows.Err()
}

// valueOf is a column as expressions see it: numbers, truth, and text for the
// rest.
func valueOf(v any) cty.Value {
	switch v := v.(type) {
	case nil:
		return cty.NullVal(cty.DynamicPseudoType)
	case bool:
		return cty.BoolVal(v)
	case int16:
		return cty.NumberIntVal(int64(v))
	case int32:
		return cty.NumberIntVal(int64(v))
	case int64:
		return cty.NumberIntVal(v)
	case float32:
		return cty.NumberFloatVal(float64(v))
	case float64:
		return cty.NumberFloatVal(v)
	case pgtype.Numeric:
		if text, err := v.Value(); err == nil {
			if s, ok := text.(string); ok {
				if f, ok := new(big.Float).SetString(s); ok {
					return cty.NumberVal(f)
				}
			}
		}
	case time.Time:
		return cty.StringVal(v.UTC().Format(time.RFC3339Nano))
	case string:
		return cty.StringVal(v)
	}
	return cty.StringVal(fmt.Sprint(v))
}
