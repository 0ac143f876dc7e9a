package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the build; "dev" otherwise.
var version = "dev"

func newVersionCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Say which pleat this is", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.version() },
	}
	c.Flags().BoolVar(&a.json, "json", false, "with the modules that it was built from")
	return c
}

func (a *app) version() error {
	if !a.json {
		_, err := fmt.Fprintf(a.out, "pleat %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
	out := struct {
		Version string            `json:"version"`
		Go      string            `json:"go"`
		OS      string            `json:"os"`
		Arch    string            `json:"arch"`
		Modules map[string]string `json:"modules"`
	}{version, runtime.Version(), runtime.GOOS, runtime.GOARCH, map[string]string{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			out.Modules[m.Path] = m.Version + " " + m.Sum
		}
	}
	return a.printJSON(out)
}
