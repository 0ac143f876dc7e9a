package planner_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkTerraform has Terraform plan graphs of the same shape, made of the
// resource that is built in, and without a state to refresh.
func BenchmarkTerraform(b *testing.B) {
	program, err := exec.LookPath("terraform")
	if err != nil {
		// What a benchmark skips is told to nobody.
		fmt.Println("\nno terraform in PATH: its figures are left out")
		b.SkipNow()
	}
	for b.Loop() {
		// The chain takes Terraform minutes, and so would as long a layered one.
		for _, g := range []graph{{"wide", 5000}, {"layered", 2000}, {"chain", 5000}} {
			theirs, ours := terraformPlan(b, program, g), planGraph(b, g)
			name := fmt.Sprintf("plan_%d_%s", g.steps, g.shape)
			theirs.print("terraform_" + name)
			figure("terraform_vs_"+name, "%.1f ratio", theirs.cpu.Seconds()/ours.cpu.Seconds())
		}
	}
}

// terraformPlan is what Terraform's plan of the graph uses, without init.
func terraformPlan(b *testing.B, program string, g graph) usage {
	dir := b.TempDir()
	writeResources(b, dir, g)
	run := func(args ...string) (string, usage) { return measure(b, terraform(b, program, dir, args...)) }
	run("init", "-input=false", "-no-color")
	out, u := run("plan", "-refresh=false", "-input=false", "-lock=false", "-no-color")
	if want := fmt.Sprintf("Plan: %d to add", g.steps); !strings.Contains(out, want) {
		b.Fatalf("terraform's plan does not say %q", want)
	}
	return u
}

// terraform is a command that nothing of the caller's environment bears on and
// that asks nobody for a newer version.
func terraform(b *testing.B, program, dir string, args ...string) *exec.Cmd {
	c := exec.CommandContext(b.Context(), program, args...)
	c.Dir = dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE=" + os.DevNull}
	return c
}

// writeResources writes a configuration with a resource for every step.
func writeResources(b *testing.B, dir string, g graph) {
	f, err := os.Create(filepath.Join(dir, "main.tf"))
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for n := range g.steps {
		resource := fmt.Sprintf("resource \"terraform_data\" \"c%05d\" {\n  input      = \"t%05d\"\n  depends_on = %s\n}\n", n, n, g.names(n, "terraform_data.c%05d"))
		if _, err := w.WriteString(resource); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
