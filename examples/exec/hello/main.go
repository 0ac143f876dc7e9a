// Command hello is the service of examples/exec: it says which release it is.
package main

import (
	"fmt"
	"net/http"
	"os"
)

// release is the linker's.
var release = "none"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello from", release) })
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(os.Getenv("NOT_BEFORE")); os.Getenv("NOT_BEFORE") != "" && err != nil {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Getenv("ADDR"), nil))
	os.Exit(1)
}
