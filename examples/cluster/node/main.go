// Package node is a node of a small PostgreSQL cluster: the first one is the
// primary, those that come later copy it and follow it, one of them
// synchronously. It says in $PLEAT_ROLE what it is, so that pleat can replace the
// nodes one by one. What a real cluster keeps in etcd or Consul, who the primary
// is and who is there, is in files of $CLUSTER_DIR.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// version is the release that this binary is, by the linker; each release has
// bytes of its own.
var version = "1"

// Main runs the program and ends the process: "run" is a node, "promote" makes a
// primary of the node at $ADDR, and "write" is somebody who writes to the cluster.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	c := cluster(os.Getenv("CLUSTER_DIR"))
	if c == "" {
		return errors.New("CLUSTER_DIR says where the cluster is, and is empty")
	}
	switch strings.Join(args, " ") {
	case "run":
		return serve(ctx, c)
	case "promote":
		return promote(ctx, c, nameOf(), os.Getenv("ADDR"))
	case "write":
		return write(ctx, c)
	}
	return fmt.Errorf("usage: cluster run|promote|write (release %s)", version)
}

// cluster is the directory that the nodes share.
type cluster string

func (c cluster) primaryFile() string { return filepath.Join(string(c), "primary") }

// primary is the node that takes writes and its address, empty for none yet.
func (c cluster) primary() (name, addr string) {
	b, err := os.ReadFile(c.primaryFile())
	if err != nil {
		return "", ""
	}
	name, addr, _ = strings.Cut(strings.TrimSpace(string(b)), " ")
	return name, addr
}

// elect makes a node the primary.
func (c cluster) elect(name, addr string) error {
	return replace(c.primaryFile(), name+" "+addr+"\n")
}

// found makes a node the primary where there is none yet: of several that ask,
// one is told true.
func (c cluster) found(name, addr string) (bool, error) {
	f, err := os.OpenFile(c.primaryFile(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(name + " " + addr + "\n")
	return true, errors.Join(err, f.Close())
}

// replace writes a file whole or not at all.
func replace(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
