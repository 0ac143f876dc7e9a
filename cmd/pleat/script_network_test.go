package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"pleat/providers/host/agenttest"
	"pleat/providers/postgres/pgtest"
)

// networks makes the addresses of hosts differ from those of other scripts.
var networks atomic.Int64

// networkCommand gives agents hosts of their own: each a network namespace with
// one address, which a script finds as $NAME. The agent there listens with TLS
// and wants the token in $TOKEN.
//
//	network make NAME ...   (only where the condition [network] holds)
//	network cut NAME        (nothing gets there, and nobody says so)
//	network heal NAME
//	network stall NAME      (the agent does nothing)
//	network awaited NAME    (waits until somebody is connected to it)
//	network resume NAME
func (s *stage) networkCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: network make|cut|heal|stall|resume NAME ...")
	}
	switch args[0] {
	case "make":
		for _, name := range args[1:] {
			s.makeHost(ts, name)
		}
	case "cut":
		// Frames go to a machine that is not there.
		ts.Check(ip("neigh", "replace", ts.Getenv(args[1]), "lladdr", "02:00:00:00:00:01", "dev", wire(ts, args[1]), "nud", "permanent"))
	case "heal":
		ts.Check(ip("neigh", "del", ts.Getenv(args[1]), "dev", wire(ts, args[1])))
	case "stall":
		ts.Check(sceneOf(ts).agents[args[1]].cmd.Process.Signal(syscall.SIGSTOP))
	case "awaited":
		until(ts, "somebody waits for "+args[1], func() bool {
			out, err := exec.Command("ss", "-Htn", "state", "established", "dst", ts.Getenv(args[1])).Output()
			return err == nil && len(out) > 0
		})
	case "resume":
		ts.Check(sceneOf(ts).agents[args[1]].cmd.Process.Signal(syscall.SIGCONT))
	default:
		ts.Fatalf("network %s: unknown", args[0])
	}
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// wire is this side of the line to a host.
func wire(ts *testscript.TestScript, name string) string { return "w" + ts.Getenv("HOST_"+name) }

func (s *stage) makeHost(ts *testscript.TestScript, name string) {
	n := networks.Add(1)
	id := fmt.Sprintf("%d-%d", os.Getpid()%100000, n)
	here, there := fmt.Sprintf("10.231.%d.1", n), fmt.Sprintf("10.231.%d.2", n)
	ts.Setenv("HOST_"+name, id)
	ts.Setenv(name, there)
	ts.Defer(func() { exec.Command("ip", "netns", "del", "pleat"+id).Run() }) // it may not be there
	for _, line := range []string{
		"netns add pleat" + id,
		"link add w" + id + " type veth peer name eth0 netns pleat" + id,
		"addr add " + here + "/24 dev w" + id,
		"link set w" + id + " up",
		"-n pleat" + id + " addr add " + there + "/24 dev eth0",
		"-n pleat" + id + " link set lo up",
		"-n pleat" + id + " link set eth0 up",
	} {
		ts.Check(ip(strings.Fields(line)...))
	}
	s.agentThere(ts, name, id, there)
}

// agentThere starts the host's agent.
func (s *stage) agentThere(ts *testscript.TestScript, name, id, address string) {
	w := sceneOf(ts)
	cert, key := agenttest.Certificate(s.t, net.ParseIP(address))
	b, err := os.ReadFile(cert)
	ts.Check(err)
	ca, err := os.OpenFile(ts.MkAbs("ca.pem"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	ts.Check(err)
	_, err = ca.Write(b)
	ts.Check(err)
	ts.Check(ca.Close())
	a := &agentProcess{ended: make(chan error, 1), output: &bytes.Buffer{}}
	a.cmd = exec.Command("ip", "netns", "exec", "pleat"+id, program(ts, "pleat"), "agent",
		"--listen", "https://"+address+":7443", "--cert", cert, "--key", key,
		"--state", filepath.Join(w.sockets, name), "--name", name, "--address", address)
	a.cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + w.sockets, tokenVariable + "=" + ts.Getenv("TOKEN")}
	a.cmd.Stderr = a.output
	ts.Check(a.cmd.Start())
	go func() { a.ended <- a.cmd.Wait(); close(a.ended) }()
	w.agents[name] = a
	until(ts, "agent "+name, func() bool {
		c, err := net.DialTimeout("tcp", address+":7443", time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

// condition is network, where hosts of their own can be had, or long, where
// tests may take long.
func condition(name string) (bool, error) {
	if name == "long" {
		return pgtest.Long(), nil
	}
	if name == "prometheus" {
		return prometheusProgram() != "", nil
	}
	if name == "users" {
		_, err := exec.LookPath("/usr/bin/setpriv")
		return err == nil && os.Geteuid() == 0, nil
	}
	if name != "network" {
		return false, fmt.Errorf("unknown condition %s", name)
	}
	probe := fmt.Sprintf("pleat-probe-%d", os.Getpid())
	if os.Geteuid() != 0 || ip("netns", "add", probe) != nil {
		return false, nil
	}
	return true, ip("netns", "del", probe)
}
