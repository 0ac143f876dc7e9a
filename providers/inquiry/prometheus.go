package inquiry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"pleat/spec"
)

// prometheus asks for the release and, where the query is about one, for the
// release before.
func (p *Provider) prometheus(ctx context.Context, q *spec.Inquiry, about about) (answer, error) {
	a := answer{values: map[string]cty.Value{}, good: true}
	value, err := p.instant(ctx, q, q.Query, about)
	if err != nil {
		return answer{}, err
	}
	a.values["value"] = cty.NumberFloatVal(value)
	if q.Samples != "" {
		n, err := p.instant(ctx, q, q.Samples, about)
		if err != nil && !errors.Is(err, ErrNoData) {
			return answer{}, fmt.Errorf("samples: %w", err)
		}
		a.values["samples"] = cty.NumberFloatVal(n) // no data are none
	}
	if about.old == "" || !strings.Contains(q.Query, "${release}") {
		return a, nil
	}
	before := about
	before.release = about.old
	switch value, err := p.instant(ctx, q, q.Query, before); {
	case err == nil:
		a.values["old"] = cty.NumberFloatVal(value)
	case !errors.Is(err, ErrNoData):
		return answer{}, err
	}
	return a, nil
}

// instant is the one number that a query gives.
func (p *Provider) instant(ctx context.Context, q *spec.Inquiry, query string, about about) (float64, error) {
	query = strings.NewReplacer("${service}", about.service, "${release}", about.release, "${old}", about.old).Replace(query)
	body, _, err := p.get(ctx, q, map[string]string{"query": query})
	if err != nil {
		return 0, err
	}
	var found promAnswer
	if err := json.Unmarshal(body, &found); err != nil || found.Status == "" {
		return 0, errors.New("this is no answer of a Prometheus server")
	}
	if found.Status != "success" {
		return 0, errors.New(found.Error)
	}
	sample, err := one(found)
	if err != nil {
		return 0, err
	}
	value, err := strconv.ParseFloat(sample, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", sample)
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, fmt.Errorf("%w: the query gives %s", ErrNoData, sample)
	}
	return value, nil
}

// one is the sample of an answer that has one.
func one(a promAnswer) (string, error) {
	var pair [2]any
	switch a.Data.Type {
	case "scalar":
		if err := json.Unmarshal(a.Data.Result, &pair); err != nil {
			return "", err
		}
	case "vector":
		var series []struct{ Value [2]any }
		if err := json.Unmarshal(a.Data.Result, &series); err != nil {
			return "", err
		}
		if len(series) == 0 {
			return "", fmt.Errorf("%w: the query gives no series", ErrNoData)
		}
		if len(series) > 1 {
			return "", fmt.Errorf("the query gives %d series, and one is wanted: sum() or the like makes one", len(series))
		}
		pair = series[0].Value
	default:
		return "", fmt.Errorf("the query gives a %s, and one number is wanted", a.Data.Type)
	}
	sample, ok := pair[1].(string)
	if !ok {
		return "", errors.New("this is no answer of a Prometheus server")
	}
	return sample, nil
}
