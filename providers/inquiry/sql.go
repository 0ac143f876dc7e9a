package inquiry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"pleat/spec"
)

// row is the first row of a query: its columns, and value for the first.
func (p *Provider) row(ctx context.Context, q *spec.Inquiry) (answer, error) {
	row, err := p.options.Row(ctx, q.Database, q.SQL)
	if err != nil {
		return answer{}, err
	}
	if row == nil {
		return answer{}, fmt.Errorf("%w: the query gives no row", ErrNoData)
	}
	a := read(row)
	if first, ok := a.values[firstKey(row)]; ok {
		a.values["value"] = first
	}
	return a, nil
}

// firstKey is the first key of a JSON object; "" where it has none.
func firstKey(object []byte) string {
	d := json.NewDecoder(bytes.NewReader(object))
	for range 2 { // the brace, then the key
		t, err := d.Token()
		if key, ok := t.(string); ok && err == nil {
			return key
		}
	}
	return ""
}
