package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// blankSecrets are the bytes with the text of secret arguments overwritten byte by
// byte, so that no message can quote them and every range still fits: url and
// token everywhere, and the default of sensitive variables. In a broken file
// every default counts.
func (s source) blankSecrets() []byte {
	blanked := slices.Clone(s.bytes)
	defaults := s.sensitiveDefaults()
	argument := argumentScan{broken: s.broken}
	for i, t := range s.tokens {
		secret := argument.secret(s.tokens, i) || slices.ContainsFunc(defaults, func(r hcl.Range) bool {
			return r.ContainsPos(t.Range.Start)
		})
		if secret && literal(t) {
			blank(blanked[t.Range.Start.Byte:t.Range.End.Byte])
		}
	}
	return blanked
}

// argumentScan walks over tokens and knows whether they are the value of a
// secret argument.
type argumentScan struct {
	broken bool
	within bool
	depth  int // of brackets opened in the value
}

func (a *argumentScan) secret(tokens hclsyntax.Tokens, i int) bool {
	switch t := tokens[i].Type; {
	case startsArgument(tokens, i) && (!a.within || a.depth <= 0):
		name := string(tokens[i].Bytes)
		a.within = name == "url" || name == "token" || a.broken && name == "default"
		a.depth = 0
	case opens(t):
		a.depth++
	case closes(t):
		a.depth--
	case t == hclsyntax.TokenNewline && a.depth <= 0:
		a.within = false
	}
	return a.within
}

// startsArgument tells whether token i is the name in NAME = VALUE, first on
// its line or in its block.
func startsArgument(tokens hclsyntax.Tokens, i int) bool {
	if tokens[i].Type != hclsyntax.TokenIdent || i+1 >= len(tokens) || tokens[i+1].Type != hclsyntax.TokenEqual {
		return false
	}
	if i == 0 {
		return true
	}
	before := tokens[i-1].Type
	return before == hclsyntax.TokenNewline || before == hclsyntax.TokenOBrace || before == hclsyntax.TokenComment
}

func literal(t hclsyntax.Token) bool {
	switch t.Type {
	case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit, hclsyntax.TokenNumberLit, hclsyntax.TokenInvalid, hclsyntax.TokenBadUTF8:
		return true
	}
	return false
}

func blank(b []byte) {
	for i, c := range b {
		if c != '\n' && c != '\r' {
			b[i] = '*'
		}
	}
}

// sensitiveDefaults are where the defaults of sensitive variables stand.
func (s source) sensitiveDefaults() []hcl.Range {
	if s.broken || s.body == nil {
		return nil
	}
	var ranges []hcl.Range
	for _, b := range s.body.Blocks {
		def, ok := b.Body.Attributes["default"]
		if b.Type != variableTable.name || !ok {
			continue
		}
		flag, ok := b.Body.Attributes["sensitive"]
		if !ok {
			continue
		}
		if v, diags := flag.Expr.Value(nil); diags.HasErrors() || !v.RawEquals(cty.False) {
			ranges = append(ranges, def.Expr.Range())
		}
	}
	return ranges
}
