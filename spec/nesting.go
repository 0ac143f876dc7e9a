package spec

import (
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	// maxNesting is how deep brackets and blocks may be nested.
	maxNesting = 64
	// maxOperators is how many operators one expression may chain.
	maxOperators = 256
)

// plainNumber keeps the decimal form of a number from filling the memory.
var plainNumber = regexp.MustCompile(`^[0-9.]{1,40}([eE][+-]?[0-9]{1,2})?$`)

// checkNesting refuses files that would take the parser, which recurses, or
// the evaluation of what it returns, deeper than a stack is.
func checkNesting(tokens hclsyntax.Tokens) hcl.Diagnostics {
	var p problems
	n := nesting{operators: []int{0}}
	for _, t := range tokens {
		n.take(t)
		if t.Type == hclsyntax.TokenNumberLit && !plainNumber.Match(t.Bytes) {
			p.add(t.Range, "Number too long", "A number has at most 40 digits, and an exponent of at most two.")
			break
		}
		if len(n.operators) > maxNesting {
			p.add(t.Range, "Nested too deeply", "Blocks and brackets are nested at most %d deep.", maxNesting)
			break
		}
		if n.operators[len(n.operators)-1] > maxOperators {
			p.add(t.Range, "Expression too long", "One expression has at most %d operators.", maxOperators)
			break
		}
	}
	return p.list
}

// nesting counts the operators of the expression in hand at each open bracket.
type nesting struct {
	operators []int
	brackets  []hclsyntax.TokenType
}

func (n *nesting) take(t hclsyntax.Token) {
	top := &n.operators[len(n.operators)-1]
	switch {
	case opens(t.Type):
		*top++
		n.operators = append(n.operators, 0)
		n.brackets = append(n.brackets, t.Type)
		return
	case closes(t.Type):
		n.close()
		return
	}
	switch t.Type {
	case hclsyntax.TokenComma:
		*top = 0
	case hclsyntax.TokenNewline:
		if n.newlineEnds() {
			*top = 0
		}
	case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit,
		hclsyntax.TokenComment, hclsyntax.TokenEOF, hclsyntax.TokenDot:
	default:
		*top++
	}
}

func opens(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp,
		hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
		return true
	}
	return false
}

func closes(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd,
		hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
		return true
	}
	return false
}

func (n *nesting) close() {
	if len(n.brackets) == 0 {
		return
	}
	n.operators = n.operators[:len(n.operators)-1]
	n.brackets = n.brackets[:len(n.brackets)-1]
}

// newlineEnds tells whether a newline ends an expression here: at the top and
// within braces.
func (n *nesting) newlineEnds() bool {
	return len(n.brackets) == 0 || n.brackets[len(n.brackets)-1] == hclsyntax.TokenOBrace
}
