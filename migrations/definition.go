package migrations

import (
	"slices"
	"strings"
)

// sameDefinition tells whether two definitions of a constraint are the same as
// far as their text tells. Brackets, casts and the names of built-in types
// count for nothing, as the server adds them; a difference may therefore be one
// of spelling, and equality may hide one of grouping or casts.
func sameDefinition(a, b string) bool { return slices.Equal(plainWords(a), plainWords(b)) }

// sameIndex compares what follows the method of two indexes, as sameDefinition
// does. The server leaves out an order that is the ordinary one.
func sameIndex(a, b string) bool {
	plain := func(definition string) []string {
		var out []string
		words := plainWords(definition)
		for i := 0; i < len(words); i++ {
			falling := len(out) > 0 && out[len(out)-1] == "desc"
			switch {
			case words[i] == "asc":
			case words[i] == "nulls" && i+1 < len(words) && (words[i+1] == "first" && falling || words[i+1] == "last" && !falling):
				i++
			default:
				out = append(out, words[i])
			}
		}
		return out
	}
	return slices.Equal(plain(a), plain(b))
}

// spellings are operators by what the server writes for them.
var spellings = map[string]string{"!=": "<>", "like": "~~", "ilike": "~~*"}

// plainWords cuts a definition into what carries its meaning.
func plainWords(definition string) []string {
	tokens := joinedOperators(lex(strings.TrimSuffix(definition, " NOT VALID")))
	var out []string
	for i := 0; i < len(tokens); i++ {
		text := tokens[i]
		switch {
		case text == "(" || text == ")":
		case text == "::":
			i = afterType(tokens, i)
		case text == "public" && i+1 < len(tokens) && tokens[i+1] == ".":
			i++
		case spellings[text] != "":
			out = append(out, spellings[text])
		default:
			out = append(out, text)
		}
	}
	return out
}

// joinedOperators gives the tokens' texts, with operators in one piece and
// quoted names without quotes where they need none.
func joinedOperators(tokens []token) []string {
	var out []string
	end := -1
	for _, t := range tokens {
		text := t.text
		if t.kind == symbolToken && end == t.start && isOperator(text) && len(out) > 0 && isOperator(out[len(out)-1]) {
			out[len(out)-1] += text
			end = t.end
			continue
		}
		if name := strings.Trim(text, `"`); t.kind == quotedToken && text[0] == '"' && needsNoQuotes(name) {
			text = name
		}
		out = append(out, text)
		end = t.end
	}
	return out
}

func isOperator(text string) bool { return strings.Trim(text, "+-*/<>=~!@#%^&|`?:") == "" }

func needsNoQuotes(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// typeWords go on with the name of a type of several words.
var typeWords = []string{"varying", "precision", "with", "without", "time", "zone"}

// afterType is the place of the last token of the type behind a cast.
func afterType(tokens []string, cast int) int {
	i := cast + 1
	for i+1 < len(tokens) {
		switch next := tokens[i+1]; {
		case slices.Contains(typeWords, next):
			i++
		case next == "." && i+2 < len(tokens):
			i += 2
		case next == "[" && i+2 < len(tokens) && tokens[i+2] == "]":
			i += 2
		case next == "(" && i+3 < len(tokens) && tokens[i+3] == ")":
			i += 3
		default:
			return i
		}
	}
	return i
}

// indexedColumns are the columns of an index by its definition, "" for an
// expression; all is false where the index leaves rows out.
func indexedColumns(definition string) (columns []string, all bool) {
	tokens := joinedOperators(lex(definition))
	start := slices.Index(tokens, "(")
	if start < 0 {
		return nil, false
	}
	depth, fresh := 0, true
	for i := start + 1; i < len(tokens); i++ {
		text := tokens[i]
		if depth == 0 && text == ")" {
			return columns, !slices.Contains(tokens[i:], "where")
		}
		if fresh {
			columns = append(columns, indexedColumn(tokens, i))
		}
		fresh = depth == 0 && text == ","
		switch text {
		case "(":
			depth++
		case ")":
			depth--
		}
	}
	return columns, false
}

func indexedColumn(tokens []string, i int) string {
	if tokens[i] == "(" || i+1 < len(tokens) && tokens[i+1] == "(" {
		return ""
	}
	return strings.Trim(tokens[i], `"`)
}

// Referenced are the columns that a foreign key refers to.
func (c Constraint) Referenced() []string {
	_, parent, found := strings.Cut(c.Definition, " REFERENCES ")
	if !found {
		return nil
	}
	columns, _ := indexedColumns(parent)
	return columns
}
