package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	proxied   = 2  // instances behind each proxy
	conns     = 16 // that send as fast as they get answers
	paced     = 8  // that send at a steady rate
	every     = 5 * time.Millisecond
	forLong   = 3 * time.Second // each measurement
	proxyName = "proxy"
)

// proxies measures the router in the agent beside HAProxy and a connection
// without either: requests a second, and what it adds to the slowest of a hundred.
func (b *bench) proxies(ctx context.Context) error {
	if b.options.instance == "" {
		b.leftOut(proxyName, "there is no program to send requests to")
		return nil
	}
	return b.emptied(ctx, func(d database) error { return b.proxied(ctx, d) })
}

// target is where requests are sent.
type target struct {
	name      string
	addresses []string
}

func (b *bench) proxied(ctx context.Context, d database) (err error) {
	s := &stage{bench: b, db: d, release: 1}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.begin(1); err != nil {
		return err
	}
	if err := s.ready(ctx, proxied); err != nil {
		return err
	}
	var direct []string
	for range proxied {
		address, err := unused()
		if err != nil {
			return err
		}
		stop, err := b.backend(address)
		if err != nil {
			return err
		}
		defer stop()
		direct = append(direct, address)
	}
	targets := []target{{"bare", direct}, {"proxy", []string{s.listen}}}
	if b.options.haproxy == "" {
		b.leftOut("haproxy", "there is no HAProxy")
	} else {
		address, stop, err := b.haproxyBefore(direct)
		if err != nil {
			return err
		}
		defer stop()
		targets = append(targets, target{"haproxy", []string{address}})
	}
	rps, slow := map[string][]float64{}, map[string][]float64{}
	for range b.options.rounds {
		for _, t := range targets {
			took, err := flood(ctx, t.addresses, conns, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			rps[t.name] = append(rps[t.name], float64(len(took))/forLong.Seconds())
			if took, err = flood(ctx, t.addresses, paced, every); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			slices.Sort(took)
			slow[t.name] = append(slow[t.name], milliseconds(took[len(took)*99/100]))
		}
	}
	for _, t := range targets {
		b.figure("rps_"+t.name, median(rps[t.name]), "requests/s")
		b.figure("p99_ms_"+t.name, median(slow[t.name]), "ms")
	}
	b.figure("proxy_added_p99_ms", median(slow["proxy"])-median(slow["bare"]), "ms")
	if len(rps["haproxy"]) > 0 {
		b.figure("haproxy_added_p99_ms", median(slow["haproxy"])-median(slow["bare"]), "ms")
		b.figure("proxy_rps_vs_haproxy", median(rps["proxy"])/median(rps["haproxy"]), "ratio")
	}
	return nil
}

// started is a program that is up once its address takes connections.
func started(cmd *exec.Cmd, address string) (stop func(), err error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // how it ends tells nothing
	}
	if err := listening("tcp", address); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// listening waits until an address takes connections.
func listening(network, address string) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial(network, address)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func unused() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// backend is an instance that no agent keeps.
func (b *bench) backend(address string) (stop func(), err error) {
	cmd := exec.Command(b.options.instance)
	cmd.Env = []string{"ADDR=" + address}
	return started(cmd, address)
}

const haproxyConfig = `global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  option http-keep-alive
  http-reuse always
  option forwardfor
frontend it
  bind %s
  default_backend them
backend them
  balance roundrobin
`

func (b *bench) haproxyBefore(servers []string) (string, func(), error) {
	address, err := unused()
	if err != nil {
		return "", nil, err
	}
	config := fmt.Sprintf(haproxyConfig, address)
	for n, s := range servers {
		config += fmt.Sprintf("  server s%d %s check\n", n, s)
	}
	file := filepath.Join(b.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return "", nil, err
	}
	stop, err := started(exec.Command(b.options.haproxy, "-db", "-f", file), address)
	return address, stop, err
}

var request = []byte("GET / HTTP/1.1\r\nHost: it\r\n\r\n")

// flood sends requests over so many connections, each as soon as it has the answer
// to the one before and, with a pace, not sooner, and tells how long each took.
func flood(ctx context.Context, addresses []string, connections int, pace time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, forLong)
	defer cancel()
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var sending sync.WaitGroup
	for n := range connections {
		sending.Go(func() {
			took, err := converse(ctx, addresses[n%len(addresses)], pace)
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, took...), errors.Join(failed, err)
		})
	}
	sending.Wait()
	return all, failed
}

// converse is one connection's part of it.
func converse(ctx context.Context, address string, pace time.Duration) ([]time.Duration, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var took []time.Duration
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := c.Write(request); err != nil {
			return took, err
		}
		filled := 0
		for !bytes.HasSuffix(buf[:filled], []byte("\r\n\r\nok\n")) {
			n, err := c.Read(buf[filled:])
			if err != nil {
				return took, err
			}
			filled += n
		}
		if !bytes.HasPrefix(buf, []byte("HTTP/1.1 200")) {
			return took, fmt.Errorf("answer %q", buf[:filled])
		}
		took = append(took, time.Since(began))
		if rest := pace - time.Since(began); rest > 0 {
			time.Sleep(rest)
		}
	}
	return took, nil
}
