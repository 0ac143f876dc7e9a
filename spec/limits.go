package spec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	// maxNesting is how deep brackets and blocks may be nested.
	maxNesting = 64
	// maxOperators is how many operators one expression may chain.
	maxOperators = 256
	// maxHeredoc is how many lines of heredocs a file may have: the parser
	// takes quadratic time over them.
	maxHeredoc = 10_000
)

// plainNumber keeps the decimal form of a number from filling the memory.
var plainNumber = Pattern(`^[0-9.]{1,40}([eE][+-]?[0-9]{1,2})?$`)

// checkLimits refuses files that would take the parser, or the evaluation of
// what it returns, deeper than a stack is or longer than anybody waits.
func checkLimits(tokens hclsyntax.Tokens) hcl.Diagnostics {
	var p problems
	n := nesting{operators: []int{0}}
	for _, t := range tokens {
		n.take(t)
		if summary, detail := n.excess(t); summary != "" {
			p.add(t.Range, summary, "%s", detail)
			break
		}
	}
	return p.list
}

// excess says which limit is crossed at t, or "".
func (n *nesting) excess(t hclsyntax.Token) (summary, detail string) {
	switch {
	case t.Type == hclsyntax.TokenNumberLit && !plainNumber().Match(t.Bytes):
		return "Number too long", "A number has at most 40 digits, and an exponent of at most two."
	case len(n.operators) > maxNesting:
		return "Nested too deeply", fmt.Sprintf("Blocks and brackets are nested at most %d deep.", maxNesting)
	case n.operators[len(n.operators)-1] > maxOperators:
		return "Expression too long", fmt.Sprintf("One expression has at most %d operators.", maxOperators)
	case n.heredoc > maxHeredoc:
		return "Heredocs too long", fmt.Sprintf("The heredocs of a file have at most %d lines.", maxHeredoc)
	}
	return "", ""
}

// nesting counts the operators of the expression in hand at each open bracket.
type nesting struct {
	operators []int
	brackets  []hclsyntax.TokenType
	heredoc   int // lines so far
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
	case hclsyntax.TokenStringLit:
		n.heredoc++
	case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenQuotedLit,
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
