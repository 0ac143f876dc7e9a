package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Help of every verb fits a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	var out bytes.Buffer
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		out.Reset()
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > helpWidth {
				t.Errorf("%s --help has %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for _, below := range c.Commands() {
			check(below)
		}
	}
	check(newApp(streams{strings.NewReader(""), &out, &out}, nil).root())
}
