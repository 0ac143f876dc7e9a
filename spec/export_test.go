package spec

// FunctionNames are the functions that a spec can call.
func FunctionNames() []string { return sortedKeys(functions(nil)) }
