package spec

import (
	"errors"

	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// tryFunction is the first of its arguments that can be evaluated. Unlike the
// one of hcl/ext/tryfunc it evaluates each argument once, so that calls within
// calls take no exponential time.
var tryFunction = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "expressions", Type: customdecode.ExpressionClosureType},
	Type:     function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		for _, arg := range args {
			if v, ok := attempt(arg); ok {
				return v, nil
			}
		}
		return cty.NilVal, errors.New("none of the expressions can be evaluated")
	},
})

// canFunction tells whether its argument can be evaluated.
var canFunction = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "expression", Type: customdecode.ExpressionClosureType}},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		_, ok := attempt(args[0])
		return cty.BoolVal(ok), nil
	},
})

func attempt(arg cty.Value) (cty.Value, bool) {
	closure := customdecode.ExpressionClosureFromVal(arg)
	v, diags := closure.Value()
	return v, !diags.HasErrors()
}
