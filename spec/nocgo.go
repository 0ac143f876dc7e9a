//go:build !cgo

package spec

// PostgreSQL's grammar is C. A build without a C compiler must end here, with
// this name in the error, and not in a parser that reads nothing.
var _ = pleat_needs_a_C_compiler_and_CGO_ENABLED_1
