//go:build !linux

package lease

// process names no process here, so that nobody is taken for dead before the
// lease has expired.
func process(int) string { return "" }

func sameWorld(string) bool { return false }
