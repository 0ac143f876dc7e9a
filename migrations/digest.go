package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"pleat/spec"
)

// digestForm is what of a change decides which data it makes: neither where
// it is written nor its times and sizes.
type digestForm struct {
	Name      string
	Expand    []any
	Backfills []any
	Verifies  []any
	Contract  []any
}

// Digest identifies what a change does to schema and data. Moving it in its
// file, or another soak, hide time or batch size, leaves it the same.
func Digest(c *spec.Change) string {
	form := digestForm{Name: c.Name, Expand: operationForms(c.Expand)}
	for _, b := range c.Backfills {
		form.Backfills = append(form.Backfills, []any{b.Table, b.Set})
	}
	for _, v := range c.Verifies {
		form.Verifies = append(form.Verifies, []any{v.Name, v.SQL, v.Max})
	}
	if c.Contract != nil {
		form.Contract = append(operationForms(c.Contract.Operations), "contract")
	}
	return digestOf(form)
}

func operationForms(ops []spec.Operation) []any {
	forms := make([]any, 0, len(ops)+1)
	for _, op := range ops {
		forms = append(forms, []any{fmt.Sprintf("%T", op), kindOf(op).form()})
	}
	return forms
}

// digestOf is the SHA-256 of a value's JSON form, in which maps are sorted.
func digestOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("migrations: digest of %T: %v", v, err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// mark is enough of a digest to tell two texts of one author apart.
func mark(v any) string { return digestOf(v)[:16] }
