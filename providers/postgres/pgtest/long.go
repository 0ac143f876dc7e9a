package pgtest

import "os"

// Long tells whether all cases are wanted, however long they take, instead of a
// sample of them: PLEAT_TEST_LONG is set, as `make test-long` does.
func Long() bool { return os.Getenv("PLEAT_TEST_LONG") != "" }
