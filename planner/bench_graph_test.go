package planner_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pleat/spec"
)

// graph is changes, or Terraform's resources, and what each comes after.
type graph struct {
	shape string // "wide": nothing shared, "chain": each after the one before, "layered"
	steps int
}

// layer is how many steps a layer of the layered graph has.
const layer = 100

// before are the steps that step n comes after. In the layered graph they are
// three of the layer before.
func (g graph) before(n int) []int {
	switch {
	case g.shape == "chain" && n > 0:
		return []int{n - 1}
	case g.shape == "layered" && n >= layer:
		above := n - n%layer - layer
		return []int{above + n%layer, above + (n+1)%layer, above + (n+2)%layer}
	}
	return nil
}

// names are the steps that step n comes after, in a list of HCL.
func (g graph) names(n int, format string) string {
	var out []string
	for _, before := range g.before(n) {
		out = append(out, fmt.Sprintf(format, before))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// spec gives the blocks of a spec that has a change for every step.
func (g graph) spec(block func(string)) {
	block(benchDatabase)
	for n := range g.steps {
		block(benchChange(n, g.names(n, "change.c%05d")))
	}
}

const benchDatabase = `database "main" {
  url = "postgres://localhost/bench"
}
`

func benchChange(n int, after string) string {
	return fmt.Sprintf(`change "c%05d" {
  after = %s
  expand {
    create_table "t%05d" {
      column "id" {
        type = "bigint"
      }
      primary_key = ["id"]
    }
  }
}
`, n, after, n)
}

// services gives the blocks of services on one database: each goes to a
// release that knows a change of its own.
func services(n int, block func(string)) {
	block(benchDatabase)
	block(`orchestrator "host" "local" {
  agents = ["unix:///run/pleat/agent.sock"]
}
`)
	block(`strategy "careful" {
  rolling {}
}
`)
	for i := range n {
		block(benchChange(i, "[]"))
		block(benchService(i))
	}
}

func benchService(n int) string {
	return fmt.Sprintf(`service "s%05[1]d" {
  strategy = strategy.careful
  release  = "1"

  process "web" {}

  release "0" {
    artifact {
      path   = "bin/0"
      sha256 = "%064[1]d"
    }
  }
  release "1" {
    artifact {
      path   = "bin/1"
      sha256 = "%064[1]d"
    }
    schema = [change.c%05[1]d]
  }
}
`, n)
}

// specSize is where a file of the spec ends and the next begins, in bytes:
// below the size that one may have.
const specSize = 1 << 19

// writeSpec writes blocks into the files of a directory as they come: what
// this process holds counts for the memory of those that it starts.
func writeSpec(b *testing.B, dir string, blocks func(block func(string))) {
	var w *specFile
	count := 0
	blocks(func(text string) {
		if w != nil && w.size > specSize {
			w.close(b)
			w = nil
		}
		if w == nil {
			w = createSpec(b, filepath.Join(dir, fmt.Sprintf("%03d%s", count, spec.Suffix)))
			count++
		}
		w.write(b, text)
	})
	w.close(b)
}

type specFile struct {
	file *os.File
	*bufio.Writer
	size int
}

func createSpec(b *testing.B, path string) *specFile {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	return &specFile{file: f, Writer: bufio.NewWriter(f)}
}

func (f *specFile) write(b *testing.B, text string) {
	n, err := f.WriteString(text)
	if err != nil {
		b.Fatal(err)
	}
	f.size += n
}

func (f *specFile) close(b *testing.B) {
	if err := f.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.file.Close(); err != nil {
		b.Fatal(err)
	}
}
