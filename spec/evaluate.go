package spec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Condition tells whether an expression, such as the `expect` of a gate, is true
// of an answer. It knows the spec's functions but for those that read files. What
// is neither true nor false is an error, and so is a name that the answer lacks.
func Condition(expression string, answer map[string]cty.Value) (bool, error) {
	expr, diags := hclsyntax.ParseExpression([]byte(expression), "expression", hcl.InitialPos)
	if diags.HasErrors() {
		return false, reasonOf(diags)
	}
	known := functions(nil)
	delete(known, "file")
	delete(known, "filesha256")
	v, diags := expr.Value(&hcl.EvalContext{Variables: answer, Functions: known})
	if diags.HasErrors() {
		return false, reasonOf(diags)
	}
	v, err := convert.Convert(v, cty.Bool)
	if err != nil || v.IsNull() || !v.IsKnown() {
		return false, fmt.Errorf("%s is neither true nor false", expression)
	}
	return v.True(), nil
}

// Variables are the names that an expression looks at, as they stand in it.
func Variables(expression string) []string {
	expr, diags := hclsyntax.ParseExpression([]byte(expression), "expression", hcl.InitialPos)
	if diags.HasErrors() {
		return nil
	}
	var out []string
	for _, t := range expr.Variables() {
		out = append(out, t.RootName())
	}
	return out
}

func reasonOf(diags hcl.Diagnostics) error {
	return errors.New(strings.TrimSuffix(strings.ToLower(diags[0].Summary[:1])+diags[0].Summary[1:]+": "+diags[0].Detail, "."))
}
